"""Latent vectors from integer seeds: the same on every device, in every command and export."""

import tensorflow as tf


def latents_from_seeds(seeds, latent_size):
    """Draws one latent vector a seed: int64 [N] -> float32 [N, latent_size], standard normal.

    A vector depends on its seed alone, not on its neighbours in the batch.
    """
    seeds = tf.convert_to_tensor(seeds, tf.int64)

    def draw(seed):
        # Philox is named because the default is chosen per device.
        return tf.random.stateless_normal([latent_size], tf.stack([seed, 0]), alg="philox")

    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([latent_size], tf.float32))
