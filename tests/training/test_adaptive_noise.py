"""The strength of D's noise, which follows D's scores. Paper, Appendix B."""

import math

import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.training import adaptive_noise


@pytest.mark.parametrize(
    ("ema", "strength"), [(0, 0), (0.5, 0), (0.6, 0.002), (0.75, 0.0125), (1, 0.05)]
)
def test_noise_grows_with_the_square_of_what_exceeds_a_half(ema, strength):
    found = adaptive_noise.noise_strength(tf.constant(ema, tf.float32), losses.LossConfig())
    assert float(found) == pytest.approx(strength, rel=1e-5, abs=1e-9)


def test_the_noise_signal_is_clipped_and_averaged_over_about_10_iterations():
    config, ema = losses.LossConfig(), tf.constant(0.0)
    for signal, expected in ((2.0, 0.1), (-3.0, 0.09), (0.5, 0.131)):
        ema = adaptive_noise.next_noise_ema(ema, tf.constant(signal), config)
        assert float(ema) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("signal", [math.nan, math.inf, -math.inf])
def test_a_noise_signal_that_is_not_finite_leaves_the_average_alone(signal):
    ema = adaptive_noise.next_noise_ema(tf.constant(0.3), tf.constant(signal), losses.LossConfig())
    assert ema == tf.constant(0.3)
