"""Reals and fakes in one pass of D: where it is faster, and that no score changes."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import Discriminator
from pgtf.training import objectives
from tests import tiny


@pytest.mark.parametrize(
    ("shape", "is_joint"),
    [((64, 4, 4, 3), True), ((8, 16, 16, 3), True), ((9, 16, 16, 3), False)],
)
def test_minibatches_of_small_maps_are_scored_jointly(shape, is_joint):
    D = Discriminator(resolution=16, num_channels=3)  # 512 maps: 4 MiB at 8 : 16x16
    assert objectives._is_scored_jointly(D, shape, shape[1].bit_length() - 1) == is_joint


def test_minibatches_that_would_change_each_others_scores_are_not_scored_jointly():
    assert objectives._is_scored_jointly(tiny.discriminator(), (4, 16, 16, 3), 4)
    assert not objectives._is_scored_jointly(tiny.discriminator(), (2, 16, 16, 3), 4)


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_joint_scores_are_those_of_each_minibatch(rng, alpha):
    D = tiny.with_random_biases(tiny.discriminator(label_size=2), rng)
    first, second = (
        tf.constant(rng.uniform(-1, 1, size=[8, 16, 16, 3]), tf.float32) for _ in range(2)
    )
    weight = None if alpha is None else tf.constant(alpha)
    joint = D.score_jointly(first, second, weight)
    lod = 0 if alpha is None else 1 - alpha
    for images, outputs in zip((first, second), joint, strict=True):
        for ours, expected in zip(outputs, D(images, lod), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
