"""D's multiplicative noise: its statistics, where it acts, and when."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import MnistDiscriminator, MultiplicativeNoise, NoiseSource
from tests import tiny

STRENGTH = 0.05  # the largest there is


def normal(rng, num_samples):
    """Draws, and a record of what was asked for."""
    asked = []

    def draw(number, num_fmaps):
        asked.append((number, num_fmaps))
        return tf.constant(rng.normal(size=[num_samples, num_fmaps]), tf.float32)

    return draw, asked


@pytest.mark.parametrize("num_fmaps", [16, 64])
def test_factors_have_mean_1_and_deviation_strength_times_root_of_channels(rng, num_fmaps):
    source, num = NoiseSource(), 20_000
    layer = MultiplicativeNoise(source)
    with source.active(normal(rng, num)[0], STRENGTH):
        factors = layer(tf.ones([num, 2, 3, num_fmaps])).numpy()
    assert factors.mean() == pytest.approx(1, abs=0.003)
    assert factors.std() == pytest.approx(STRENGTH * num_fmaps**0.5, rel=0.01)
    assert np.all(factors == factors[:, :1, :1])  # constant over space
    flat = factors[:, 0, 0]
    assert np.corrcoef(flat[:, 0], flat[:, 1])[0, 1] == pytest.approx(0, abs=0.03)
    assert np.corrcoef(flat[:-1, 0], flat[1:, 0])[0, 1] == pytest.approx(0, abs=0.03)


def test_there_is_noise_only_while_it_is_active(rng):
    D = tiny.discriminator(use_gdrop=True)
    images = rng.uniform(-1, 1, size=[4, 16, 16, 3]).astype(np.float32)
    quiet = D(images)[0].numpy()
    np.testing.assert_array_equal(quiet, tiny.discriminator()(images)[0])
    with D.noise.active(normal(rng, 4)[0], STRENGTH):
        noisy, again = D(images)[0].numpy(), D(images)[0].numpy()
    assert np.all(noisy != quiet)
    assert np.all(noisy != again)  # fresh draws
    with D.noise.active(normal(rng, 4)[0], 0.0):
        np.testing.assert_array_equal(D(images)[0], quiet)
    np.testing.assert_array_equal(D(images)[0], quiet)


def test_noise_is_before_every_3x3_and_4x4_convolution(rng):
    D = tiny.discriminator(use_gdrop=True)
    draw, asked = normal(rng, 4)
    with D.noise.active(draw, STRENGTH):
        D(np.zeros([4, 16, 16, 3], np.float32))
    # Two convolutions at 16x16 and 8x8, and at 4x4 one of the features and the statistic, and the
    # 4x4 convolution, which is a dense layer here.
    assert asked == [(0, 4), (1, 4), (2, 8), (3, 8), (4, 9), (5, 8)]


def test_the_small_discriminator_has_noise_on_the_image_and_before_the_scores_too(rng):
    options = {"num_channels": 3, "fmap_base": 64, "fmap_divisor": 2}
    D = MnistDiscriminator(**options, use_gdrop=True)
    draw, asked = normal(rng, 4)
    with D.noise.active(draw, STRENGTH):
        D(np.zeros([4, 32, 32, 3], np.float32))
    assert asked == [(0, 3), (1, 4), (2, 8), (3, 17)]
