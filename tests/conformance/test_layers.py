"""Claims about every layer: configuration, tracing, first and second derivatives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pgtf import ops
from pgtf.networks import (
    BatchNorm,
    EqualizedConv2D,
    EqualizedDense,
    LayerNorm,
    MinibatchDiscrimination,
    MinibatchStatistic,
    MinibatchStdDev,
    NearestUp,
    PixelNorm,
    WeightedSum,
)
from pgtf.networks.layers import LeakyReLU

VECTORS, IMAGES = (4, 6), (4, 4, 4, 3)
RMS = {"wscale_constant": "rms", "use_bias": False, "seed": 3}
STATISTIC = {"function": "Tstd", "average": "group", "num_splits": 3, "group_size": 2}
LAYERS = {  # (class, arguments none of which is the default, shape of the inputs)
    "dense": (EqualizedDense, {"units": 3, "gain": 0.7, "use_wscale": False, "seed": 3}, VECTORS),
    "dense_map": (EqualizedDense, {"units": 2, "map_size": 4, "gain": 0.5, "seed": 3}, VECTORS),
    "conv": (EqualizedConv2D, {"filters": 2, "kernel_size": 3, "seed": 3}, IMAGES),
    "rgb": (EqualizedConv2D, {"filters": 2, "kernel_size": 1, "gain": 1, "seed": 3}, IMAGES),
    "up": (EqualizedConv2D, {"filters": 2, "kernel_size": 3, "up": True, "seed": 3}, IMAGES),
    "down": (EqualizedConv2D, {"filters": 2, "kernel_size": 3, "down": True, "seed": 3}, IMAGES),
    "rms": (EqualizedConv2D, RMS | {"filters": 2, "kernel_size": 3}, IMAGES),
    "leaky_relu": (LeakyReLU, {"negative_slope": 0.3}, IMAGES),
    "nearest_up": (NearestUp, {}, IMAGES),
    "pixel_norm": (PixelNorm, {"epsilon": 0.01}, IMAGES),
    "leaky_pixel_norm": (PixelNorm, {"negative_slope": 0.3}, IMAGES),
    "batch_norm": (BatchNorm, {}, IMAGES),
    "layer_norm": (LayerNorm, {}, IMAGES),
    "stddev": (MinibatchStdDev, {"group_size": 2, "epsilon": 0.01}, IMAGES),
    "statistic": (MinibatchStatistic, STATISTIC, IMAGES),
    "discrimination": (MinibatchDiscrimination, {"kernels": 2, "seed": 3}, VECTORS),
    "weighted_sum": (WeightedSum, {}, IMAGES),
}


@pytest.fixture(params=LAYERS)
def case(request, rng):
    """(layer in float64, its inputs): differences of floats need the precision."""
    kind, arguments, shape = LAYERS[request.param]
    layer, inputs = kind(**arguments, dtype="float64"), [tf.constant(rng.normal(size=shape))]
    if kind is WeightedSum:
        inputs += [tf.constant(rng.normal(size=shape)), tf.constant(0.3, tf.float64)]
    layer(*inputs)
    return layer, inputs


def test_every_layer_that_can_be_stored_is_among_these():
    stored = keras.saving.get_custom_objects()
    ours = {kind for kind in stored.values() if kind.__module__.startswith("pgtf.networks.")}
    assert {kind for kind in ours if issubclass(kind, keras.layers.Layer)} == {
        kind for kind, _, _ in LAYERS.values()
    }


def test_a_layer_made_from_its_serialized_config_is_the_same_function(case):
    layer, inputs = case
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"pgtf>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(*inputs), layer(*inputs))  # the seed is part of it


@pytest.mark.parametrize("name", LAYERS)
def test_a_config_holds_every_argument(name):
    kind, arguments, _ = LAYERS[name]
    assert kind(**arguments).get_config().items() >= arguments.items()


def test_a_layer_is_the_same_eagerly_and_in_a_function(case):
    layer, inputs = case
    np.testing.assert_allclose(tf.function(layer)(*inputs), layer(*inputs), rtol=0, atol=1e-14)


def test_a_layer_keeps_an_unknown_batch_size_and_says_the_others(case):
    layer, inputs = case
    symbolic = [keras.Input(x.shape[1:], dtype=x.dtype) for x in inputs if x.shape.rank]
    symbolic += [keras.Input(batch_shape=(), dtype="float64")] * (len(inputs) - len(symbolic))
    assert layer(*symbolic).shape == (None, *layer(*inputs).shape[1:])


def derivatives(layer, inputs):
    """(value, gradients, gradients of the squared gradient norm) with respect to all tensors.

    The second are those of a gradient penalty. The cube makes them non-zero for linear layers.
    """
    tensors = [*inputs, *(v.value for v in layer.trainable_variables)]
    with ops.implementation("training"), tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(inputs[0])
            value = tf.reduce_sum(layer(*inputs) ** 3)
        gradient = inner.gradient(value, inputs[0])
        penalty = tf.reduce_sum(gradient**2)
    seconds = outer.gradient(penalty, tensors, unconnected_gradients="zero")
    return gradient.numpy(), penalty.numpy(), [second.numpy() for second in seconds]


def test_second_order_gradients_are_the_slopes_of_the_first(case, rng):
    layer, inputs = case
    _, _, seconds = derivatives(layer, inputs)
    assert all(np.any(second) for second in seconds)
    variables = layer.trainable_variables
    for k, second in enumerate(seconds):
        direction, step = rng.normal(size=second.shape), 1e-6
        slopes = []
        for sign in (1, -1):
            moved = list(inputs)
            if k < len(inputs):
                moved[k] = inputs[k] + sign * step * direction
            else:
                variables[k - len(inputs)].assign_add(sign * step * direction)
            slopes.append(sign * derivatives(layer, moved)[1])
            if k >= len(inputs):
                variables[k - len(inputs)].assign_sub(sign * step * direction)
        expected = np.sum(second * direction)
        assert sum(slopes) / (2 * step) == pytest.approx(expected, rel=1e-6, abs=1e-6)
