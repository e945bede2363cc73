"""Weight gradients as matrix products: when, and in how many parts. Values: test_kernels.py."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import convolutions


def gradient_of(x, kernel, stride, padding, dy):
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = convolutions.convolved(x, kernel, stride, padding)
    return tape.gradient(y, kernel, dy)


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
    monkeypatch.setattr(convolutions, "FEWEST_MAPS", 1)  # `whole` is TensorFlow's own
    monkeypatch.setattr(convolutions, "PATCHES_BYTES", images * image_bytes + 1)
    sizes = []
    patches = convolutions._patches

    def counted(x, *args):
        sizes.append(x.shape[0])
        return patches(x, *args)

    monkeypatch.setattr(convolutions, "_patches", counted)
    parts = gradient_of(x, kernel, stride, padding, dy)
    assert sum(sizes) == 5
    assert max(sizes) == images
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-4)
