"""Multiplicative noise in D whose strength follows D's scores. Paper, Appendix B."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import tensorflow as tf

from pgtf.losses import LossConfig
from pgtf.networks import Discriminator
from pgtf.training.randomness import Sampler, Stream

NUM_DRAWS = 1024  # exceeds the number of noise layers that one update evaluates


def noise_strength(ema: tf.Tensor, config: LossConfig) -> tf.Tensor:
    """Strength of D's noise, at least 0, from the moving average of its signal. Paper, App. B."""
    excess = tf.maximum(ema - config.noise_limit, 0.0)
    return config.noise_coef * tf.pow(excess, config.noise_exponent)


def next_noise_ema(ema: tf.Tensor, signal: tf.Tensor, config: LossConfig) -> tf.Tensor:
    """Moving average of the signal, clipped to [0, 1], after one more value; starts at 0.

    A value that is not finite changes nothing, because its update of D is skipped.
    """
    clipped = tf.clip_by_value(signal, 0.0, 1.0)
    updated = config.noise_ema * ema + (1.0 - config.noise_ema) * clipped
    return tf.where(tf.math.is_finite(signal), updated, ema)


class AdaptiveNoise:
    """Strength and random factors of D's noise layers. No-op if D has none."""

    def __init__(self, D: Discriminator, config: LossConfig) -> None:
        self._source, self._config = D.noise, config

    def strength(self, ema: tf.Tensor) -> tf.Tensor:
        """Strength for one iteration: [] float32."""
        return tf.constant(0.0) if self._source is None else noise_strength(ema, self._config)

    def next_ema(self, ema: tf.Tensor, statistics: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Moving average after an iteration with these mean statistics: [] -> []."""
        if self._source is None:
            return ema
        return next_noise_ema(ema, statistics[self._config.noise_signal], self._config)

    def active(
        self,
        strength: tf.Tensor,
        sampler: Sampler,
        nimg: tf.Tensor,
        purpose: Stream,
        micro_batch: Callable[[tf.Tensor], tf.Tensor],
    ) -> contextlib.AbstractContextManager[None]:
        """Context manager that enables D's noise layers.

        Args:
            strength: [] float32.
            sampler: random numbers of the stage.
            nimg: images shown, which with `purpose` decides the draws.
            purpose: D_NOISE or G_NOISE.
            micro_batch: function that selects the samples at hand from this replica's.
        """
        if self._source is None:
            return contextlib.nullcontext()

        def draw(layer: int, num_fmaps: int) -> tf.Tensor:
            return micro_batch(sampler.normal([num_fmaps], nimg * NUM_DRAWS + layer, purpose))

        return self._source.active(draw, strength)
