"""Networks of other grids than 4x4, and of other channels than RGB."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import networks
from pgtf.networks import DiscriminatorConfig, weight_shapes
from tests import tiny

GRIDS = {"4x4": (4, 4), "5x4": (5, 4), "4x3": (4, 3), "2x8": (2, 8)}


@pytest.fixture(params=list(GRIDS))
def grid(request):
    return request.param


@pytest.fixture(params=[1, 2, 5, 13])
def channels(request):
    return request.param


def pair(grid, channels=3, **options):
    options |= {"grid": grid, "num_channels": channels}
    rng = np.random.default_rng(1)
    G = tiny.with_random_biases(tiny.generator(seed=3, **options), rng)
    return G, tiny.with_random_biases(tiny.discriminator(seed=4, **options), rng)


def latents(num=4):
    return np.random.default_rng(2).normal(size=[num, tiny.LATENT_SIZE]).astype(np.float32)


def test_images_and_scores_of_every_level_have_the_size_of_the_grid(grid, channels):
    G, D = pair(grid, channels)
    height, width = GRIDS[grid]
    for lod in (0, 0.5, 1, 2):
        images = G(latents(), lod=lod)
        factor = 4 >> int(lod)
        assert images.shape == (4, factor * height, factor * width, channels)
        assert [y.shape for y in D(images, lod=lod)] == [(4, 1), (4, 0)]
    np.testing.assert_array_equal(G.run(latents(), lod=2).shape, (4, height, width, channels))


def test_weights_have_the_shapes_that_the_options_give(grid):
    for network in pair(grid):
        found = {name: tuple(v.shape) for name, v in network.variables_by_name.items()}
        assert found == weight_shapes(network.config)


def test_every_weight_gets_a_gradient(grid):
    G, D = pair(grid, 2)
    for network, outputs in (
        (G, lambda: tf.reduce_sum(G(latents(), lod=0.5) ** 2)),
        (D, lambda: tf.reduce_sum(D(G(latents(), lod=0.5), lod=0.5)[0] ** 2)),
    ):
        with tf.GradientTape() as tape:
            total = outputs()
        variables = network.variables_at(4)
        for name, gradient in zip(
            variables, tape.gradient(total, list(variables.values())), strict=True
        ):
            assert gradient is not None, name
            assert np.isfinite(gradient).all(), name
            assert np.abs(gradient).max() > 0, name


def test_growing_leaves_images_and_scores_unchanged_at_alpha_0(grid):
    G, D = pair(grid)
    before = G(latents(), lod=1).numpy()
    after = G.model(4)([tf.constant(latents()), tf.constant(0.0)]).numpy()
    np.testing.assert_array_equal(after, before.repeat(2, 1).repeat(2, 2))
    scores = D.model(4)([tf.constant(after), tf.constant(0.0)])[0]
    np.testing.assert_allclose(scores, D(before, lod=1)[0], rtol=1e-5, atol=1e-6)


def test_images_of_full_size_are_averaged_for_a_coarser_level(grid):
    _, D = pair(grid)
    height, width = GRIDS[grid]
    shape = (4, 4 * height, 4 * width, 3)
    images = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    boxes = images.reshape(4, 2 * height, 2, 2 * width, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(D(images, lod=1)[0], D(boxes, lod=1)[0], rtol=1e-5, atol=1e-6)


def test_two_minibatches_are_scored_jointly_as_one_by_one(grid):
    _, D = pair(grid)
    height, width = GRIDS[grid]
    rng = np.random.default_rng(6)
    a, b = (
        tf.constant(rng.normal(size=(4, 2 * height, 2 * width, 3)).astype(np.float32)) for _ in "ab"
    )
    jointly = D.score_jointly(a, b, None)
    for images, (scores, _) in zip((a, b), jointly, strict=True):
        np.testing.assert_allclose(scores, D(images, lod=1)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (5, 4), (2, 8)])
def test_the_first_layer_has_the_gain_of_one_convolution_of_the_size_of_the_grid(size):
    """Features before the norm are sums over latents of unit variance, times sqrt(2 / places)."""
    G = tiny.generator(
        seed=1, grid=f"{size[0]}x{size[1]}", latent_size=512, fmap_max=64, fmap_base=256
    )
    rows = np.random.default_rng(0).normal(size=[256, 512]).astype(np.float32)
    rows /= np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
    features = G.layers["4x4/Dense"](rows).numpy()
    assert features.shape == (256, *size, 64)
    assert features.std() == pytest.approx(np.sqrt(2 / (size[0] * size[1])), rel=0.02)


@pytest.mark.parametrize(("height", "width"), [(20, 16), (8, 32)])
def test_a_constant_image_along_one_side_is_scored_as_that_of_a_square(height, width):
    """D of a 4x4 grid and D of another one share all convolutions: features agree inside."""
    square = tiny.discriminator(seed=4)
    other = tiny.discriminator(seed=4, grid=f"{height // 4}x{width // 4}")
    for name in ("16x16/Conv0/weight", "8x8/Conv1_down/weight", "4x4/Conv/weight"):
        np.testing.assert_array_equal(other.variables_by_name[name], square.variables_by_name[name])
    inside = [
        network._blocks[4](np.ones([1, *network.config.image_size, 8], np.float32))[0, 2, 2]
        for network in (square, other)
    ]
    np.testing.assert_allclose(inside[0], inside[1], rtol=1e-5, atol=1e-6)


def test_impossible_grids_are_refused():
    with pytest.raises(ValueError, match=r"`grid` must be HEIGHTxWIDTH.*grid='5'"):
        DiscriminatorConfig(grid="5")
    _, D = pair("5x4")
    with pytest.raises(ValueError, match=r"`images` must be 10x8, the size of lod=1, or 20x16"):
        D(np.zeros([4, 8, 10, 3], np.float32), lod=1)


def test_the_minibatch_statistic_and_the_small_networks_follow_the_grid(grid):
    options = {"structure": "mnist1k", "grid": grid}
    G = networks.build(networks.GeneratorConfig(**tiny.OPTIONS | options), seed=1)
    D = networks.build(networks.DiscriminatorConfig(**tiny.OPTIONS | options), seed=1)
    images = G(latents()[:, :1].repeat(G.latent_size, 1))
    height, width = GRIDS[grid]
    assert images.shape == (4, 4 * height, 4 * width, 3)
    assert D(images)[0].shape == (4, 1)
    for network in (G, D):
        found = {name: tuple(v.shape) for name, v in network.variables_by_name.items()}
        assert found == weight_shapes(network.config)
