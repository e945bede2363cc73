"""Winograd's convolutions: values, precision, memory, and where they are used."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pgtf.ops import conv_gradients, im2col, selection, winograd
from tests import tiny
from tests.ops.derivatives import all_orders, behind

SIZES = [(2, 2), (8, 6), (4, 10)]
# Of these the quick tests compare float32, below.
SIZES += [pytest.param(size, marks=pytest.mark.slow) for size in ((4, 4), (16, 16))]


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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, tf.constant(0.25)], ids=["number", "tensor"])
def test_all_directions_are_those_of_the_convolution(rng, size, scale):
    x, weight, dy = tensors(rng, size, 3, 5, tf.float64)
    results = zip(
        directions(x, weight, dy, scale), plain_directions(x, weight, dy, scale), strict=True
    )
    for ours, expected in results:
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, tf.constant(0.25)], ids=["number", "tensor"])
def test_positions_apart_give_the_convolution_too(rng, size, scale):
    x, weight, _ = tensors(rng, size, 3, 5, tf.float64)
    expected = tf.nn.conv2d(x, weight * tf.cast(scale, weight.dtype), 1, "SAME")
    y = winograd.convolution_apart(x, weight, scale)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "fmaps"),
    [
        pytest.param(4, 512, marks=pytest.mark.slow),
        pytest.param(8, 512, marks=pytest.mark.slow),
        (16, 512),
        pytest.param(32, 512, marks=pytest.mark.slow),
        pytest.param(64, 256, marks=pytest.mark.slow),
    ],
)
def test_float32_is_closer_to_the_convolution_than_tensorflows_own(rng, size, fmaps):
    """With as many maps as in the paper: sums of a ninth as many products."""
    rounded = tensors(rng, (size, size), fmaps, fmaps, tf.float32, num_images=1)
    exact = plain_directions(*(tf.cast(tensor, tf.float64) for tensor in rounded), 0.5)

    def error(result, expected):
        """In roundings of the largest value."""
        difference = np.abs(tf.cast(result, tf.float64) - expected).max()
        return difference / np.abs(expected).max() * 2**24

    *ours, weight_gradient = map(error, directions(*rounded, 0.5), exact)
    ours.append(error(winograd.convolution_apart(*rounded[:2], 0.5), exact[0]))
    *plain, _ = map(error, plain_directions(*rounded, 0.5), exact)
    assert max(ours) < min(plain)  # seen: 9 to 17, 31 to 51
    assert 0 < weight_gradient < 20  # seen: 3 to 19, TensorFlow's 2 to 10


FITS = [(1, 1), (2, 2), (3, 3), (5, 3), (6, 6), (9, 6)]
QUICK = [(4, 1), (4, 2), (4, 5), (4, 6)]  # every kind: one, some, a divisor, exactly all


@pytest.mark.parametrize(
    ("size", "fit", "at_a_time"),
    [
        pytest.param(size, *fit, marks=[] if (size, fit[0]) in QUICK else [pytest.mark.slow])
        for size in (4, 10)
        for fit in FITS
    ],
)
def test_as_many_images_at_a_time_as_fit_into_memory(rng, monkeypatch, size, fit, at_a_time):
    x, weight, dy = tensors(rng, (size, size), 3, 4, tf.float32, num_images=6)
    whole = directions(x, weight, dy, 1.0)
    # All 16 positions of the tiles, for 4 pixels, and their product, of 4 maps.
    monkeypatch.setattr(im2col, "PATCHES_BYTES", fit * 2 * 4 * size**2 * 4 * 4 + 1)
    for ours in (directions, tf.function(directions)):
        for part, expected in zip(ours(x, weight, dy, 1.0), whole, strict=True):
            tiny.assert_the_same_but_for_rounding(part, expected)
    graph = ours.get_concrete_function(x, weight, dy, 1.0).graph
    loops = [operation for operation in graph.get_operations() if "While" in operation.type]
    # Weight gradients: one for each half. Two turns need no loop.
    assert len(loops) == (2 + 2 if at_a_time < 3 else 0)
    functions = graph.as_graph_def(add_shapes=True).library.function
    bodies = {loop.get_attr("body").name for loop in loops}
    made = {
        node.attr["_output_shapes"].list.shape[0].dim[1].size
        for function in functions
        if function.signature.name in bodies
        for node in function.node_def
        if node.op == "BatchMatMulV2"
    }
    if not loops:
        products = (each for each in graph.get_operations() if each.type == "BatchMatMulV2")
        made = {each.outputs[0].shape[1] for each in products}
    # Two loops over tiles in the forward pass; weight gradients loop over maps of the images.
    assert made == {at_a_time * size**2 // 4, 3}


def test_halves_of_the_weight_gradient_come_one_after_the_other(monkeypatch):
    """Otherwise the tiles of both would be in memory together, in loops or not."""
    cases = ((2**24, 3, "BatchMatMulV2", 2), (1, 3, "While", 2), (1, 2, "BatchMatMulV2", 4))
    for num_bytes, num_images, kind, number in cases:  # Two images are two turns without a loop.
        monkeypatch.setattr(im2col, "PATCHES_BYTES", num_bytes)
        gradient = tf.function(lambda x, dy: winograd.weight_gradient(x, dy), autograph=False)
        specs = [tf.TensorSpec([num_images, 4, 4, fmaps]) for fmaps in (3, 5)]
        (output,) = gradient.get_concrete_function(*specs).graph.outputs
        halves = {each for each in behind(output.op) if each.type.removeprefix("Stateless") == kind}
        # Itself included: each knows what it comes after.
        assert sorted(len(behind(each) & halves) for each in halves) == [*range(1, number + 1)]


@pytest.mark.parametrize(
    ("form", "num_products"),
    [(winograd.convolution, 2), (winograd.convolution_apart, 1 + 16)],  # two halves; maps too
)
def test_a_kernel_is_made_when_the_images_are_there(form, num_products):
    """Otherwise those of all layers would be made first, and be in memory throughout an update."""

    @tf.function(autograph=False)
    def ours(x, weight):
        return form(tf.sin(x), weight)

    specs = [tf.TensorSpec(shape) for shape in ([2, 4, 4, 3], [3, 3, 3, 5])]
    operations = ours.get_concrete_function(*specs).graph.get_operations()
    kernels = [operation for operation in operations if operation.type == "MatMul"]
    assert len(kernels) == num_products
    for kernel in kernels:
        assert "Sin" in {operation.type for operation in behind(kernel)}


def test_xla_compiles_each_transform_once_for_all_graphs():
    def graph():
        function = tf.function(lambda x, weight: winograd.convolution(x, weight), autograph=False)
        specs = [tf.TensorSpec(shape) for shape in ([2, 4, 4, 3], [3, 3, 3, 5])]
        return function.get_concrete_function(*specs).graph

    names = [
        {
            operation.get_attr("f").name
            for operation in graph().get_operations()
            if "PartitionedCall" in operation.type and operation.get_attr("_XlaMustCompile")
        }
        for _ in range(2)
    ]
    assert len(names[0]) == 3  # two halves there, and back
    assert names[0] == names[1]


def test_xla_compiles_when_a_graph_is_made(tmp_path):
    """Or, of a number of images not known then, when it runs first."""
    program = (
        "import pathlib, sys, tensorflow as tf; from pgtf.ops import winograd\n"
        "for num_images in (None, 2):\n"
        "    specs = [tf.TensorSpec(shape) for shape in ([num_images, 4, 4, 3], [3, 3, 3, 5])]\n"
        "    graph = tf.function(lambda x, w: winograd.convolution(x, w), autograph=False)\n"
        "    graph.get_concrete_function(*specs)\n"
        "    print(len(list(pathlib.Path(sys.argv[1]).glob('*before_optimizations.txt'))))\n"
    )
    environment = os.environ | {"XLA_FLAGS": f"--xla_dump_to={tmp_path}"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == ["0", "3"]  # two halves there, and back


@pytest.mark.parametrize(
    ("images", "size", "stride", "dtype", "fmaps", "is_used"),
    [
        (64, (2, 2), 1, tf.float32, 256, False),
        (16, (4, 4), 1, tf.float32, 256, True),
        (15, (4, 4), 1, tf.float32, 256, False),
        (16, (4, 4), 1, tf.float32, 255, False),
        (4, (8, 8), 1, tf.float64, 256, True),
        (4, (8, 8), 1, tf.bfloat16, 256, False),
        (4, (9, 9), 2, tf.float32, 256, False),
        (1, (16, 16), 1, tf.float32, 256, True),
        (2, (10, 8), 1, tf.float32, 256, False),
        (4, (10, 8), 1, tf.float32, 256, True),
        (16, (5, 4), 1, tf.float32, 256, False),
        (1, (33, 33), 1, tf.float32, 256, False),
        (1, (128, 128), 1, tf.float32, 256, True),
        (1, (256, 256), 1, tf.float32, 256, False),
    ],
)
def test_wide_layers_use_it_in_all_directions(images, size, stride, dtype, fmaps, is_used):
    padding = "SAME" if stride == 1 else "VALID"

    def all_directions(x, weight):
        with tf.GradientTape() as tape:
            tape.watch([x, weight])
            y = conv_gradients.conv2d(x, weight, stride, padding)
        return y, tape.gradient(y, [x, weight])

    shapes = [images, *size, 256], [3, 3, 256, fmaps]
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    graph = tf.function(all_directions).get_concrete_function(*specs).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert (kinds.count("BatchMatMulV2") >= 6) == is_used  # three directions of two halves
    assert not (is_used and any(kind.startswith("Conv2D") for kind in kinds))


def test_gradients_of_gradients_are_those_of_the_plain_convolution(rng, monkeypatch):
    monkeypatch.setattr(selection, "FEWEST_MAPS", 1)
    monkeypatch.setattr(selection, "FEWEST_MAPS_WINOGRAD", 1)
    monkeypatch.setattr(selection, "FEWEST_PIXELS_WINOGRAD", 1)
    x, weight, dy = tensors(rng, (8, 8), 3, 4, tf.float64)

    ours, plain = (
        all_orders(form, x, weight, dy)
        for form in (
            lambda x, weight: conv_gradients.conv2d(x, weight, 1, "SAME", 0.5),
            lambda x, weight: tf.nn.conv2d(x, weight / 2, 1, "SAME"),
        )
    )
    for result, expected in zip(ours, plain, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-10)
