"""Latent vectors from integer seeds, the same on every device, and latents of extreme scales."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# Mean squares between these are exact in float32, whatever the number of values.
LEAST_SQUARE, GREATEST_SQUARE = 1e-30, 1e30
SMALLEST_NORMAL = 2.0**-126  # Processors may read smaller float32 values as 0.
EPSILONS = 1000  # A mean square this many times epsilon hides epsilon: 0.05% of the length.


def latents_from_seeds(seeds: Any, latent_size: int) -> tf.Tensor:
    """Samples one latent vector per seed: int64 [N] -> float32 [N, latent_size], standard normal.

    A vector depends on its seed alone, not on its neighbors in the batch.
    """
    return _sample(tf.convert_to_tensor(seeds, tf.int64), latent_size)


# Traced, because eager operations would take 40 times as long per seed.
@tf.function(autograph=False, reduce_retracing=True)
def _sample(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    def sample(seed: tf.Tensor) -> tf.Tensor:
        # Name Philox, because the default algorithm depends on the device.
        return tf.random.stateless_normal([latent_size], tf.stack([seed, 0]), alg="philox")

    return tf.map_fn(sample, seeds, fn_output_signature=tf.TensorSpec([latent_size], tf.float32))


def of_any_scale(rows: Sequence[tf.Tensor], epsilon: float) -> list[tf.Tensor]:
    """Rescales vectors for which float32 cannot compute the pixel norm: [N, ...] each -> same.

    Pixel norm divides by the root mean square. The square of 1e20 is infinite, and that of 1e-6
    disappears in `epsilon`. All other vectors keep their bits.

    Args:
        rows: parts of the vectors, which are normalized together, such as latents and labels.
        epsilon: number that pixel norm adds to the mean square.
    """
    # Deviation: latents whose squares float32 cannot hold give the image of their direction; the
    # original gives that of zeros, or another one.
    divisor = extreme_scale(tf.concat(rows, axis=1), max(EPSILONS * epsilon, LEAST_SQUARE))
    return [row / divisor for row in rows]


def extreme_scale(vectors: tf.Tensor, least_square: float = LEAST_SQUARE) -> tf.Tensor:
    """Finds divisors for vectors of extreme length: [N, L] -> [N, 1]; 1 for all others and for 0.

    Args:
        vectors: any real numbers; NaN and infinity give NaN.
        least_square: smallest mean square that needs no divisor.
    """
    mean_square = tf.reduce_mean(tf.square(vectors), axis=1, keepdims=True)
    largest = tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True)
    is_ordinary = (mean_square >= least_square) & (mean_square <= GREATEST_SQUARE)
    kept = is_ordinary | (largest < SMALLEST_NORMAL)
    return tf.where(kept, tf.ones_like(largest), largest)
