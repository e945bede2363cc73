"""The operations against plain formulas, up to the second gradient, and work they save."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.ops import gpu, portable, training
from tests.ops.derivatives import all_orders


def plain_up(x, kernel):
    """Nearest neighbour, then 3x3; the transposed kernel's axes turned around."""
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    return tf.nn.conv2d(large, tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2]), 1, "SAME")


def plain_down(x, kernel):
    return tf.nn.avg_pool2d(tf.nn.conv2d(x, kernel, 1, "SAME"), 2, 2, "VALID")


def plain_pixel_norm(x, _):
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-8)


CASES = {
    "conv, training": (
        training.conv2d,
        lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"),
        [3, 3, 5, 4],
    ),
    "up": (portable.conv2d_up, plain_up, [3, 3, 4, 5]),
    "up, training": (training.conv2d_up, plain_up, [3, 3, 4, 5]),
    "down": (portable.conv2d_down, plain_down, [3, 3, 5, 4]),
    "down, training": (
        training.conv2d_down,
        plain_down,
        [3, 3, 5, 4],
    ),
    "conv, GPU": (gpu.conv2d, lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), [3, 3, 5, 4]),
    "from RGB, GPU": (
        lambda x, k: gpu.conv2d(x[..., :3], k),
        lambda x, k: tf.nn.conv2d(x[..., :3], k, 1, "SAME"),
        [1, 1, 3, 6],
    ),
    "to RGB, GPU": (gpu.conv2d, lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), [1, 1, 5, 3]),
    "up, GPU": (gpu.conv2d_up, plain_up, [3, 3, 4, 5]),
    "down, GPU": (gpu.conv2d_down, plain_down, [3, 3, 5, 4]),
    "leaky ReLU": (lambda x, k: training.leaky_relu(x, 0.2), lambda x, k: tf.maximum(x, x / 5), []),
    "ReLU": (lambda x, k: training.leaky_relu(x, 0.0), lambda x, k: tf.maximum(x, 0), []),
    "leaky ReLU and pixel norm": (
        lambda x, k: training.pixel_norm(x, 1e-8, 0.2),
        lambda x, k: plain_pixel_norm(tf.maximum(x, x / 5), k),
        [],
    ),
    "pixel norm": (lambda x, k: training.pixel_norm(x, 1e-8), plain_pixel_norm, []),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(2, 4), (6, 8), (10, 12)])
def test_values_and_gradients_of_first_and_second_order_are_those_of_the_plain_form(
    rng, case, size
):
    fast, plain, kernel_shape = CASES[case]
    x = tf.constant(rng.normal(size=[3, *size, 5]), tf.float32)
    kernel = tf.constant(rng.normal(size=kernel_shape), tf.float32)
    weights = rng.normal(size=plain(x, kernel).shape).astype(np.float32)

    pairs = zip(*(all_orders(form, x, kernel, weights) for form in (fast, plain)), strict=True)
    for ours, expected in pairs:
        scale = max(float(tf.reduce_max(tf.abs(expected))), 1e-6)
        np.testing.assert_allclose(ours / scale, expected / scale, rtol=0, atol=3e-6)


def test_third_derivatives_of_the_box_on_a_gpu_are_those_of_the_plain_form(rng):
    """The gradient of the penalty, once more, with values that no order may lose."""
    x = tf.constant(rng.normal(size=[2, 6, 8, 3]), tf.float32)

    def third(function):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as middle:
                middle.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    total = tf.reduce_sum(tf.sin(function(x)) ** 2)
                middle_total = tf.reduce_sum(tf.cos(inner.gradient(total, x)) ** 2)
            outer_total = tf.reduce_sum(tf.sin(middle.gradient(middle_total, x)))
        return outer.gradient(outer_total, x)

    for ours, theirs in (
        (gpu.box_filter, training.box_filter),
        (gpu.box_filter_transpose, training.box_filter_transpose),
    ):
        found, expected = third(ours), third(theirs)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5)


def test_leaky_relu_has_no_second_derivative_so_that_nothing_flows_back_through_it(rng):
    x = tf.constant(rng.normal(size=[2, 3]), tf.float32)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(training.leaky_relu(x, 0.2))
        first = tf.reduce_sum(inner.gradient(total, x))
    assert outer.gradient(first, x) is None


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_pixel_norm_of_half_precision_squares_in_single_precision(dtype):
    x = tf.constant([[300.0, -300.0, 0.0, 0.0]], dtype)  # 300**2 is infinite in float16
    y = training.pixel_norm(x, 1e-4)
    assert y.dtype == dtype
    np.testing.assert_allclose(tf.cast(y, tf.float32), [[2**0.5, -(2**0.5), 0, 0]], rtol=4e-3)
    zeros = training.pixel_norm(tf.zeros([1, 4], dtype), 1e-4)
    assert not np.any(tf.cast(zeros, tf.float32))
