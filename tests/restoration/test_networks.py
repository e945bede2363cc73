"""The networks: their beginning, their seeds, and the reach of each pixel."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.restoration import networks
from pgtf.restoration.config import SCALES, TASKS


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return request.param


@pytest.fixture(scope="module")
def G(task):
    """A network whose last convolution is not nearly 0, as if it had learnt."""
    G = networks.build(task, seed=3)
    generator = np.random.default_rng(0)
    G.set_weights([w + 0.05 * generator.normal(size=w.shape) for w in G.get_weights()])
    return G


def test_an_untrained_network_gives_the_degraded_image(task, rng):
    images = rng.uniform(-1, 1, (2, 16, 24, 3)).astype(np.float32)
    size = [side * SCALES[task] for side in images.shape[1:3]]
    expected = tf.image.resize(images, size, method="bicubic").numpy()
    result = networks.build(task, seed=3)(images).numpy()
    assert np.abs(result - expected).mean() < 0.2  # that of two random images is 0.8


def test_a_pixel_depends_on_no_more_than_the_margin(task, G):
    margin, stride, scale = networks.MARGINS[task], networks.STRIDES[task], SCALES[task]
    side = 2 * margin + 8 * stride
    images = tf.Variable(np.random.default_rng(1).uniform(-1, 1, (1, side, side, 3)))
    images = tf.cast(images, tf.float32)
    reach = 0
    for place in range(margin, margin + stride):  # every phase of the stride
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = G(images)
            pixel = tf.reduce_sum(output[0, place * scale : (place + 1) * scale, side * scale // 2])
        rows = np.flatnonzero(np.abs(tape.gradient(pixel, images)[0]).max(axis=(1, 2)))
        reach = max(reach, place - rows[0], rows[-1] - place)
    assert margin / 2 < reach <= margin


def test_seeds_decide_the_weights(task):
    first, same, other = (networks.build(task, seed).get_weights() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
