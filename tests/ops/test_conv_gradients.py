"""Gradients of convolutions: their form, order and memory. Their values: test_values.py."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.ops import conv_gradients, im2col, ordering, selection
from pgtf.training import differentiation, objectives
from tests import tiny
from tests.ops.derivatives import behind


def gradient_of(x, kernel, stride, padding, dy):
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = conv_gradients.conv2d(x, kernel, stride, padding)
    return tape.gradient(y, kernel, dy)


def penalty_graph(*specs):
    """Traces the gradients of the norm of an input gradient, as in a gradient penalty."""

    @tf.function(autograph=False)
    def penalty(x, weight):
        with tf.GradientTape() as outer:
            outer.watch([x, weight])
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = conv_gradients.conv2d(x, weight, 1, "SAME")
            first = inner.gradient(y, x, y)
        return outer.gradient(first, [x, weight], tf.cos(first))

    return penalty.get_concrete_function(*specs).graph


@pytest.mark.parametrize(
    ("size", "stride", "dtype", "fmaps", "is_product"),
    [
        (8, 1, tf.float32, 128, True),
        (8, 1, tf.float32, 127, False),
        (9, 1, tf.float32, 128, False),
        (16, 1, tf.bfloat16, 128, True),
        (17, 1, tf.bfloat16, 128, False),
        (128, 2, tf.float32, 128, True),
        (129, 2, tf.float32, 128, False),
        (129, 2, tf.bfloat16, 128, True),
    ],
)
def test_weight_gradients_of_small_images_and_wide_layers_are_products(
    size, stride, dtype, fmaps, is_product
):
    padding, input_size = ("SAME", size) if stride == 1 else ("VALID", 2 * size + 1)
    shapes = ([1, input_size, input_size, 64], [3, 3, 64, fmaps], [1, size, size, fmaps])
    graph = tf.function(
        lambda x, kernel, dy: gradient_of(x, kernel, stride, padding, dy)
    ).get_concrete_function(*(tf.TensorSpec(shape, dtype) for shape in shapes))
    kinds = [operation.type for operation in graph.graph.get_operations()]
    assert ("MatMul" in kinds, "Conv2DBackpropFilter" in kinds) == (is_product, not is_product)


@pytest.mark.parametrize(
    ("size", "fmaps", "is_product"), [(4, 128, True), (4, 127, False), (8, 128, False)]
)
@pytest.mark.parametrize("is_transposed", [False, True])
def test_convolutions_of_4x4_images_by_wide_kernels_are_products(
    rng, size, fmaps, is_product, is_transposed
):
    inputs, kernel = [2, size, size, fmaps if is_transposed else 64], [3, 3, 64, fmaps]
    x, kernel = (tf.constant(rng.normal(size=shape), tf.float32) for shape in (inputs, kernel))

    @tf.function
    def ours(x, kernel):
        if is_transposed:
            return conv_gradients.conv2d_transpose(x, kernel, [size, size], 1, "SAME", 0.25)
        return conv_gradients.conv2d(x, kernel, 1, "SAME", 0.25)

    if is_transposed:
        plain = tf.nn.conv2d_transpose(x, kernel / 4, [2, size, size, 64], 1, "SAME")
    else:
        plain = tf.nn.conv2d(x, kernel / 4, 1, "SAME")
    kinds = [
        operation.type for operation in ours.get_concrete_function(x, kernel).graph.get_operations()
    ]
    assert ("MatMul" in kinds) == is_product
    tiny.assert_the_same_but_for_rounding(ours(x, kernel), plain)


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (6, 3)])
def test_products_are_the_convolution_and_its_transpose(rng, size):
    x, y = (tf.constant(rng.normal(size=[2, *size, fmaps])) for fmaps in (3, 5))
    kernel = tf.constant(rng.normal(size=[3, 3, 3, 5]))
    np.testing.assert_allclose(
        im2col.convolution(x, kernel), tf.nn.conv2d(x, kernel, 1, "SAME"), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        im2col.transpose(y, kernel),
        tf.nn.conv2d_transpose(y, kernel, x.shape, 1, "SAME"),
        rtol=0,
        atol=1e-12,
    )


def test_a_scaled_weight_is_made_after_the_images_and_not_held_for_the_gradient():
    """Otherwise all of them would be made first, and be in memory throughout an update."""

    @tf.function
    def update(x, weight):
        with tf.GradientTape() as tape:
            tape.watch([x, weight])
            y = conv_gradients.conv2d(tf.sin(x), weight, 1, "SAME", 0.5)
        return tape.gradient(y, [x, weight], tf.cos(y))

    specs = [tf.TensorSpec(shape) for shape in ([1, 8, 8, 4], [3, 3, 4, 4])]
    operations = update.get_concrete_function(*specs).graph.get_operations()
    forward, backward = (
        next(operation for operation in operations if operation.type == kind).inputs[which].op
        for kind, which in (("Conv2D", 1), ("Conv2DBackpropInput", 1))
    )
    assert forward is not backward
    for kernel, kind in ((forward, "Sin"), (backward, "Cos")):
        assert kernel.type == "Mul"
        (pixel,) = kernel.control_inputs
        waited_for = pixel.inputs[0].op
        while waited_for.type in ("StopGradient", "Identity"):
            waited_for = waited_for.inputs[0].op
        assert waited_for.type == kind


@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "VALID")])
def test_gradients_of_weight_gradients_are_those_of_the_plain_convolution(rng, stride, padding):
    x, weight = (tf.constant(rng.normal(size=shape)) for shape in ([2, 7, 9, 3], [3, 3, 3, 4]))

    def of_norm(convolution):
        """Gradients of the square norm of a weight gradient."""
        with tf.GradientTape() as outer:
            outer.watch([x, weight])
            with tf.GradientTape() as inner:
                inner.watch(weight)
                loss = tf.reduce_sum(tf.sin(convolution(x, weight)))
            norm = tf.reduce_sum(tf.square(inner.gradient(loss, weight)))
        return outer.gradient(norm, [x, weight])

    ours = of_norm(lambda x, weight: conv_gradients.conv2d(x, weight, stride, padding, 0.5))
    plain = of_norm(lambda x, weight: tf.nn.conv2d(x, weight / 2, stride, padding))
    for result, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)


def test_a_tape_does_not_look_into_convolutions(monkeypatch):
    """It would trace gradients of loops and of what XLA compiles, which nobody asks for."""
    monkeypatch.setattr(im2col, "PATCHES_BYTES", 1)  # an image at a time

    specs = [tf.TensorSpec(shape) for shape in ([3, 16, 16, 256], [3, 3, 256, 256])]
    graph = penalty_graph(*specs).as_graph_def()
    kinds = {node.op for function in graph.library.function for node in function.node_def}
    kinds |= {node.op for node in graph.node}
    assert "StatelessWhile" in kinds
    # Operations with which a loop keeps values for its gradient, and takes them from there.
    assert not kinds & {"TensorListPushBack", "TensorListPopBack"}


def test_the_penaltys_weight_gradients_come_before_its_gradients_of_images():
    """Those of images would run ahead otherwise, and what the others look at be in memory."""

    specs = [tf.TensorSpec(shape) for shape in ([1, 8, 8, 4], [3, 3, 4, 4])]
    operations = penalty_graph(*specs).get_operations()
    last = [operation for operation in operations if operation.type == "Conv2D"][-1]
    assert "Conv2DBackpropFilter" in {operation.type for operation in behind(last)}


@pytest.mark.parametrize(
    ("num_outputs", "which", "is_first"),
    [(128, "weight", True), (127, "weight", False), (128, "none", False), (128, "other", False)],
)
def test_gradients_of_weights_come_first_where_they_are_wanted(num_outputs, which, is_first):
    """This holds for wide layers only. Weight gradients that nobody wants, such as D's while G is
    updated, are not computed.
    """

    @tf.function
    def update(x, weight, other):
        tensors = {"weight": [weight], "none": [], "other": [other]}[which]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, weight])
            y = conv_gradients.conv2d(x, weight, 1, "SAME")
        with ordering.weight_gradients_first(tensors):
            inside = tape.gradient(y, x, tf.cos(y))
        return inside, tape.gradient(y, x, tf.sin(y))

    shapes = [1, 16, 16, 64], [3, 3, 64, num_outputs], [3, 3, 64, num_outputs]
    graph = update.get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes)).graph
    inside, outside = (
        "Conv2DBackpropFilter" in {operation.type for operation in behind(output.op)}
        for output in graph.outputs
    )
    assert (inside, outside) == (is_first, False)


def test_an_update_asks_for_gradients_of_its_own_weights_first(monkeypatch):
    """The tensors that the layers convolve with are the very ones that are differentiated."""
    monkeypatch.setattr(selection, "FEWEST_MAPS", 1)
    monkeypatch.setattr(selection, "LARGEST_IM2COL_GRADIENT", {1: 0, 2: 0})
    G, D = tiny.generator(), tiny.discriminator()
    latents = tf.zeros([4, tiny.LATENT_SIZE])

    @tf.function(autograph=False)
    def update_of_G():
        weights = {network: differentiation.read_weights(network, 4) for network in (G, D)}
        with differentiation.computing_with(*weights.items()):
            part = functools.partial(
                objectives.generator_terms, G, D, latents, None, 16, None, losses.LossConfig()
            )
            gradients = differentiation.gradients_of([part], weights[G])[1]
        return gradients["4x4/Dense/weight"]  # behind all others

    last = update_of_G.get_concrete_function().graph.outputs[0].op
    kinds = [operation.type for operation in behind(last)]
    assert kinds.count("Conv2DBackpropFilter") == 5  # G's 3x3 convolutions; D has as many


@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "VALID")])
@pytest.mark.parametrize("images", [1, 2, 5])
def test_patches_that_do_not_fit_into_memory_are_made_in_turn(
    rng, monkeypatch, stride, padding, images
):
    x = tf.constant(rng.normal(size=[5, 7, 7, 2]), tf.float32)
    kernel = tf.constant(rng.normal(size=[3, 3, 2, 4]), tf.float32)
    dy = tf.constant(rng.normal(size=tf.nn.conv2d(x, kernel, stride, padding).shape), tf.float32)
    whole = gradient_of(x, kernel, stride, padding, dy)
    image_bytes = dy.shape[1] * dy.shape[2] * 3 * 3 * 2 * 4
    monkeypatch.setattr(selection, "FEWEST_MAPS", 1)  # `whole` is TensorFlow's own
    monkeypatch.setattr(im2col, "PATCHES_BYTES", images * image_bytes + 1)
    sizes = []
    gathered = im2col._gather

    def counted(x, *args):
        sizes.append(x.shape[0])
        return gathered(x, *args)

    monkeypatch.setattr(im2col, "_gather", counted)
    parts = gradient_of(x, kernel, stride, padding, dy)
    assert sum(sizes) == 5
    assert max(sizes) == images
    tiny.assert_the_same_but_for_rounding(parts, whole)
