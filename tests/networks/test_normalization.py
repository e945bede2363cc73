"""Batch norm and layer norm against NumPy one-liners and properties."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import BatchNorm, LayerNorm
from tests import tiny


@pytest.fixture
def x(rng):
    return rng.normal(3, 2, size=[6, 4, 5, 7]).astype(np.float32)


def randomized(layer, x, rng):
    layer.build(x.shape)
    for variable in layer.weights:
        variable.assign(rng.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize("shape", [(6, 4, 5, 7), (6, 7)])
def test_batch_norm_is_over_all_but_the_channels(rng, shape):
    x = rng.normal(3, 2, size=shape).astype(np.float32)
    layer, axes = randomized(BatchNorm(), x, rng), tuple(range(len(shape) - 1))
    expected = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-4) * layer.gamma + layer.beta
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(6, 4, 5, 7), (6, 7)])
def test_layer_norm_is_over_all_of_a_sample_with_one_gain(rng, shape):
    x = rng.normal(3, 2, size=shape).astype(np.float32)
    layer, axes = randomized(LayerNorm(), x, rng), tuple(range(1, len(shape)))
    assert (layer.gain.shape, layer.bias.shape) == ((), (7,))
    variance = x.var(axes, keepdims=True)
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(variance + 1e-4) * layer.gain
    np.testing.assert_allclose(layer(x), expected + layer.bias, rtol=0, atol=2e-5)


def test_batch_norm_depends_on_the_other_samples_and_layer_norm_does_not(x):
    for layer, depends in ((BatchNorm(), True), (LayerNorm(), False)):
        assert np.allclose(layer(x)[:2], layer(x[:2]), atol=1e-5) != depends


def test_batch_norm_is_the_same_in_training_and_evaluation(x):
    layer = BatchNorm()
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    assert [v.name for v in layer.weights] == ["gamma", "beta"]  # no running averages


def test_new_layers_give_mean_0_and_variance_1(x):
    for layer, axes in ((BatchNorm(), (0, 1, 2)), (LayerNorm(), (1, 2, 3))):
        y = layer(x).numpy()
        np.testing.assert_allclose(y.mean(axes), 0, atol=1e-5)
        np.testing.assert_allclose(y.var(axes), 1, atol=1e-3)


def test_normalized_layers_have_no_bias_of_their_own():
    G, D = tiny.generator(use_batchnorm=True), tiny.discriminator(use_layernorm=True)
    assert set(G.variables_by_name) >= {"4x4/Dense/BatchNorm/gamma", "16x16/Conv1/BatchNorm/beta"}
    assert set(D.variables_by_name) >= {"16x16/Conv0/LayerNorm/gain", "4x4/Dense0/LayerNorm/bias"}
    biases = {name for network in (G, D) for name in network.variables_by_name if "/bias" in name}
    plain = {name for name in biases if "Norm" not in name}
    assert {name.split("_lod")[0] for name in plain} == {"ToRGB", "FromRGB", "4x4/Dense1/bias"}


def test_normalization_comes_between_convolution_and_activation(rng):
    """With ReLU, a normalized and then rectified channel is zero in about half of all places."""
    G = tiny.generator(use_batchnorm=True, use_leakyrelu=False, use_pixelnorm=False)
    dense, norm, activation = G._blocks[2].layers[1:4]
    x = dense(tf.constant(rng.normal(size=[64, tiny.LATENT_SIZE]), tf.float32))
    y = activation(norm(x)).numpy()
    assert y.min() == 0
    assert 0.3 < (y == 0).mean() < 0.7
