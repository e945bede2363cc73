"""Forward-only operations: the same values as the portable ones, by other operations."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pgtf.ops import inference, portable
from tests import tiny


def operations_of(function, *tensors):
    """Operations of the graph of a function, and what XLA compiles in it."""
    graph = tf.function(function, autograph=False).get_concrete_function(*tensors).graph
    kinds = [operation.type for operation in graph.get_operations()]
    compiled = [
        operation
        for operation in graph.get_operations()
        if "PartitionedCall" in operation.type and operation.get_attr("_XlaMustCompile")
    ]
    return kinds, compiled


def numbers(rng, *shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


LARGE_OR_NOT = [((2, 512, 512, 16), True), ((1, 511, 512, 16), False), ((1, 512, 512, 17), False)]


@pytest.mark.parametrize(("shape", "is_compiled"), LARGE_OR_NOT)
def test_pixel_norm_is_the_same(rng, shape, is_compiled):
    x = rng.normal(size=shape).astype(np.float32)
    x[:, :2] = 0
    x = tf.constant(x)
    drawn = tf.function(lambda x: inference.pixel_norm(x, 1e-8))
    tiny.assert_the_same_but_for_rounding(drawn(x), portable.pixel_norm(x, 1e-8), 1e-6)
    kinds, compiled = operations_of(drawn.python_function, x)
    assert (len(compiled), "EuclideanNorm" in kinds) == (is_compiled, not is_compiled)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("shape", "is_large"), LARGE_OR_NOT)
def test_pixel_norm_and_to_rgb_in_one_are_those_apart(rng, shape, is_large, size):
    x, kernel, bias = numbers(rng, *shape), numbers(rng, size, size, shape[3], 3), numbers(rng, 3)
    plain = tf.nn.conv2d(portable.pixel_norm(x, 1e-8), kernel, 1, "SAME") + bias
    drawn = tf.function(lambda *args: inference.normalized_rgb(*args, 1e-8))
    tiny.assert_the_same_but_for_rounding(drawn(x, kernel, bias), plain, 2e-6)
    kinds, _ = operations_of(drawn.python_function, x, kernel, bias)
    assert ("Conv2D" in kinds) != (is_large and size == 1)


@pytest.mark.parametrize("has_groups", [True, False])
@pytest.mark.parametrize("scale", [0.25, tf.constant(0.25)], ids=["number", "tensor"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float64])
def test_enlarging_is_the_same_with_and_without_groups(rng, monkeypatch, has_groups, scale, dtype):
    monkeypatch.setattr(inference, "has_groups", lambda: has_groups)
    x = tf.cast(numbers(rng, 2, 4, 6, 5), dtype)
    weight = tf.cast(numbers(rng, 3, 3, 4, 5), tf.float64 if dtype == tf.float64 else tf.float32)
    drawn, plain = (
        tf.cast(function(x, weight, scale), tf.float64)
        for function in (inference.conv2d_up, portable.conv2d_up)
    )
    tiny.assert_the_same_but_for_rounding(drawn, plain, 1e-6 if dtype == tf.float32 else 0)
    kinds, _ = operations_of(lambda *args: inference.conv2d_up(*args, scale), x, weight)
    in_groups = has_groups and dtype == tf.float32
    assert ("DepthwiseConv2dNative" in kinds) != in_groups
    assert kinds.count("Conv2D") == in_groups


@pytest.mark.parametrize(
    ("onednn", "has_groups"),
    [pytest.param("1", "True", marks=pytest.mark.slow), ("0", "False")],  # the first is the default
)
def test_groups_are_used_with_onednn_alone_and_images_made_without_it(onednn, has_groups):
    """TensorFlow leaves oneDNN alone on some processors, and Eigen cannot join groups."""
    program = (
        "import numpy as np; from pgtf.ops import inference; from tests import tiny; "
        "G, z = tiny.generator(), np.ones([1, 8]); print(inference.has_groups()); "
        "tiny.assert_the_same_but_for_rounding(G.run(z), G(z))"
    )
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": onednn}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout.split(), done.returncode) == ([has_groups], 0), done.stderr


@pytest.mark.parametrize(
    ("size", "fmaps", "products", "compiled"),
    [
        (4, 512, 1, 0),
        (8, 512, 1, 0),
        (16, 256, 16 + 1, 2),  # Winograd's positions and kernels; there and back
        (64, 256, 16 + 1, 2),
        (16, 255, 0, 0),
        (8, 16, 0, 0),
    ],
)
def test_wide_convolutions_are_products_or_winograds(rng, size, fmaps, products, compiled):
    x, weight = numbers(rng, 2, size, size, fmaps), numbers(rng, 3, 3, fmaps, fmaps)
    images = tf.TensorSpec([None, *x.shape[1:]])  # as in Generator.run, be it one or many
    kinds, calls = operations_of(lambda *args: inference.conv2d(*args, 0.5), images, weight)
    assert (kinds.count("MatMul"), len(calls)) == (products, compiled)
    assert kinds.count("Conv2D") == (products == 0)
    drawn, plain = (function(x, weight, 0.5) for function in (inference.conv2d, portable.conv2d))
    tiny.assert_the_same_but_for_rounding(drawn, plain)


@pytest.mark.parametrize(
    ("size", "num_inputs", "num_outputs", "is_product"),
    [
        ((4, 4), 64, 128, True),
        ((4, 8), 128, 64, True),
        ((32, 32), 64, 128, True),
        ((33, 33), 64, 128, False),
        ((4, 4), 64, 127, False),
    ],
)
def test_wide_small_images_are_enlarged_by_one_product(
    rng, size, num_inputs, num_outputs, is_product
):
    x, weight = numbers(rng, 2, *size, num_inputs), numbers(rng, 3, 3, num_outputs, num_inputs)
    images = tf.TensorSpec([None, *x.shape[1:]])
    kinds, compiled = operations_of(lambda *args: inference.conv2d_up(*args, 0.5), images, weight)
    assert (kinds.count("MatMul"), len(compiled)) == (is_product, is_product)
    assert ("Conv2DBackpropInput" in kinds) != is_product
    functions = (inference.conv2d_up, portable.conv2d_up)
    drawn, plain = (function(x, weight, 0.5) for function in functions)
    tiny.assert_the_same_but_for_rounding(drawn, plain)
