"""Latent vectors from integer seeds: the same on every device, in every command and export."""

from typing import Any

import tensorflow as tf


def latents_from_seeds(seeds: Any, latent_size: int) -> tf.Tensor:
    """Samples one latent vector per seed: int64 [N] -> float32 [N, latent_size], standard normal.

    A vector depends on its seed alone, not on its neighbors in the batch.
    """
    seeds = tf.convert_to_tensor(seeds, tf.int64)

    def sample(seed: tf.Tensor) -> tf.Tensor:
        # Name Philox, because the default algorithm depends on the device.
        return tf.random.stateless_normal([latent_size], tf.stack([seed, 0]), alg="philox")

    return tf.map_fn(sample, seeds, fn_output_signature=tf.TensorSpec([latent_size], tf.float32))
