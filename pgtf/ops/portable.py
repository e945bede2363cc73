"""TensorFlow's own operations and gradients, which load and run everywhere."""

from typing import Any

import tensorflow as tf

from pgtf.ops import resampling


def conv2d(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """tf.nn.conv2d by the scaled weight."""
    return tf.nn.conv2d(x, scaled(weight, scale, x), 1, "SAME")


def conv2d_up(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """A transposed convolution of stride 2, then sums of 2x2 neighborhoods.

    Upsampling by repetition is a transposed convolution with a 2x2 box, and convolutions commute:
    with the box last, 9 taps work at the smaller size, where the original's fused 4x4 kernel has 16
    and the plain way 9 at four times the pixels.
    """
    kernel = scaled(weight, scale * 4, x)  # turns the means of the box into sums
    y = tf.nn.conv2d_transpose(x, kernel, resampling.up_shape(x, weight), 2, "VALID")
    return resampling.box_means(y)


def conv2d_down(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """`conv2d_up` the other way around: means of 2x2 first, then 9 taps at the smaller size.

    512 maps, 16x16 to 8x8, minibatch 16: 27 ms, the fused 4x4 kernel 62 (Intel Xeon, 2 cores, busy,
    November 2026).
    """
    y = resampling.box_means(tf.pad(x, resampling.BORDER))
    return tf.nn.conv2d(y, scaled(weight, scale, x), 2, "VALID")


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """tf.nn.leaky_relu."""
    return tf.nn.leaky_relu(x, slope)


def pixel_norm(x: tf.Tensor, epsilon: float, slope: float | None = None) -> tf.Tensor:
    """x, or its leaky ReLU, over the root mean square of its last axis."""
    return normalized(x if slope is None else tf.nn.leaky_relu(x, slope), epsilon)[0]


def normalized_rgb(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`pixel_norm`, tf.nn.conv2d, and tf.nn.bias_add."""
    return tf.nn.bias_add(tf.nn.conv2d(pixel_norm(x, epsilon), kernel, 1, "SAME"), bias)


def normalized(x: tf.Tensor, epsilon: float) -> tuple[tf.Tensor, tf.Tensor]:
    """x over the root mean square of its last axis, and the factors: -> [N, ..., C], [N, ..., 1].

    Statistics and factors are float32, or float64 if x is.
    """
    factors = pixel_factors(x, epsilon)
    return tf.cast(at_least_float32(x) * factors, x.dtype), factors


def pixel_factors(x: tf.Tensor, epsilon: float) -> tf.Tensor:
    """One over the root mean square of the last axis: [N, ..., C] -> [N, ..., 1]."""
    mean_squares = tf.reduce_mean(tf.square(at_least_float32(x)), axis=-1, keepdims=True)
    return tf.math.rsqrt(mean_squares + epsilon)


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """x, cast to float32 if it is of half precision."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def scaled(weight: tf.Tensor, scale: Any, x: tf.Tensor) -> tf.Tensor:
    """weight * scale in the dtype of x."""
    return tf.cast(weight * tf.cast(scale, weight.dtype), x.dtype)
