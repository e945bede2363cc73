"""Winograd's convolutions: values, precision, memory, and where they are used."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import convolutions, kernels, products, winograd
from tests.networks.derivatives import all_orders, behind

WHOLE_AND_APART = [(2, 2), (4, 4), (8, 6), (4, 10), (16, 16)]  # 10, 16 > LARGEST_WHOLE


def directions(x, weight, dy, scale):
    """All three of ours: -> y, dx, dw."""
    return (
        winograd.convolution(x, weight, scale),
        winograd.transpose(dy, weight, scale),
        winograd.weight_gradient(x, dy, scale),
    )


def plain_directions(x, weight, dy, scale):
    with tf.GradientTape() as tape:
        tape.watch([x, weight])
        y = tf.nn.conv2d(x, weight * tf.cast(scale, weight.dtype), 1, "SAME")
    return y, *tape.gradient(y, [x, weight], dy)


def tensors(rng, size, num_inputs, num_outputs, dtype, num_images=3):
    """x, weight, dL/dy."""
    shapes = [[num_images, *size, num_inputs], [3, 3, num_inputs, num_outputs]]
    shapes.append([num_images, *size, num_outputs])
    return [tf.constant(rng.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize("size", WHOLE_AND_APART)
@pytest.mark.parametrize("scale", [1.0, tf.constant(0.25)], ids=["number", "tensor"])
def test_all_directions_are_those_of_the_convolution(rng, size, scale):
    x, weight, dy = tensors(rng, size, 3, 5, tf.float64)
    results = zip(
        directions(x, weight, dy, scale), plain_directions(x, weight, dy, scale), strict=True
    )
    for ours, expected in results:
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_float32_is_closer_to_the_convolution_than_tensorflows_own(rng, size):
    """With 512 maps, as in the paper: sums of 512 products instead of 4608."""
    rounded = tensors(rng, (size, size), 512, 512, tf.float32, num_images=2)
    exact = plain_directions(*(tf.cast(tensor, tf.float64) for tensor in rounded), 0.5)

    def errors(results):
        """Of y, dx and dw, in roundings of the largest value."""
        for result, expected in zip(results, exact, strict=True):
            error = np.abs(tf.cast(result, tf.float64) - expected).max()
            yield error / np.abs(expected).max() * 2**24

    *ours, weight_gradient = errors(directions(*rounded, 0.5))
    *plain, _ = errors(plain_directions(*rounded, 0.5))
    assert max(ours) < min(plain)  # seen: 12 to 18, 32 to 51
    assert 0 < weight_gradient < 20  # seen: 3 to 15, TensorFlow's 2 to 6


@pytest.mark.parametrize("images", [1, 2, 5])
@pytest.mark.parametrize("size", [4, 10])
def test_as_many_images_at_a_time_as_fit_into_memory(rng, monkeypatch, size, images):
    x, weight, dy = tensors(rng, (size, size), 3, 4, tf.float32, num_images=5)
    whole = directions(x, weight, dy, 1.0)
    # Half of the positions of the tiles, and their product: 2 * 8 for 4 pixels, of 4 maps.
    monkeypatch.setattr(products, "PATCHES_BYTES", images * 4 * size**2 * 4 * 4 + 1)
    sizes, to_tiles = [], winograd._to_tiles

    def counted(x, *args):
        tiles = to_tiles(x, *args)
        sizes.append(tf.size(tiles).numpy() // (2 * size**2 * x.shape[3]))
        return tiles

    monkeypatch.setattr(winograd, "_to_tiles", counted)
    for part, expected in zip(directions(x, weight, dy, 1.0), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-4)
    assert sum(sizes) == 5 * 2 * 4  # two halves; x, dy, and both for the weight gradient
    assert max(sizes) == images


def test_halves_and_parts_come_one_after_the_other(monkeypatch):
    """Otherwise all tiles would be made first, and be in memory together."""
    monkeypatch.setattr(products, "PATCHES_BYTES", 1)  # one image at a time

    @tf.function
    def ours(x, weight, dy):
        return directions(x, weight, dy, 1.0)

    specs = [tf.TensorSpec(shape) for shape in ([2, 4, 4, 3], [3, 3, 3, 5], [2, 4, 4, 5])]
    for output in ours.get_concrete_function(*specs).graph.outputs:
        multiplied = {
            operation for operation in behind(output.op) if operation.type == "BatchMatMulV2"
        }
        # Itself included: each of 2 halves of 2 images knows what it comes after.
        numbers = [len(behind(operation) & multiplied) for operation in multiplied]
        assert sorted(numbers) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("size", "stride", "dtype", "fmaps", "is_used"),
    [
        (4, 1, tf.float32, 256, True),
        (4, 1, tf.float32, 255, False),
        (8, 1, tf.float32, 256, True),
        (8, 1, tf.bfloat16, 256, False),
        (9, 2, tf.float32, 256, False),
        (16, 1, tf.float32, 512, True),
        (16, 1, tf.float32, 511, False),
        (32, 1, tf.float32, 512, False),
    ],
)
def test_training_uses_it_for_small_images_and_wide_layers(size, stride, dtype, fmaps, is_used):
    padding = "SAME" if stride == 1 else "VALID"

    def all_directions(x, weight):
        with tf.GradientTape() as tape:
            tape.watch([x, weight])
            y = convolutions.convolved(x, weight, stride, padding)
        return y, tape.gradient(y, [x, weight])

    num_inputs = 512 if size == 16 else 256
    shapes = ([1, size, size, num_inputs], [3, 3, num_inputs, fmaps])
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    graph = tf.function(all_directions).get_concrete_function(*specs).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert (kinds.count("BatchMatMulV2") >= 6) == is_used  # three directions of two halves
    assert not (is_used and any(kind.startswith("Conv2D") for kind in kinds))


@pytest.mark.parametrize(("size", "is_used"), [(4, False), (8, True), (32, True), (64, False)])
def test_images_that_are_only_made_use_it_too(size, is_used):
    specs = [tf.TensorSpec(shape) for shape in ([None, size, size, 512], [3, 3, 512, 512])]
    for drawing in (True, False):
        convolution = tf.function(lambda *args, d=drawing: kernels.conv2d(*args, drawing=d))
        graph = convolution.get_concrete_function(*specs).graph
        kinds = {operation.type for operation in graph.get_operations()}
        assert ("Conv2D" not in kinds) == (is_used and drawing)


def test_gradients_of_gradients_are_those_of_the_plain_convolution(rng, monkeypatch):
    monkeypatch.setattr(convolutions, "FEWEST_MAPS", 1)
    monkeypatch.setattr(convolutions, "WINOGRAD_MAPS", {8: 1})
    x, weight, dy = tensors(rng, (8, 8), 3, 4, tf.float64)

    ours, plain = (
        all_orders(form, x, weight, dy)
        for form in (
            lambda x, weight: convolutions.convolved(x, weight, 1, "SAME", 0.5),
            lambda x, weight: tf.nn.conv2d(x, weight / 2, 1, "SAME"),
        )
    )
    for result, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-10)
