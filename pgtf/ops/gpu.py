"""Operations of training for GPUs: what XLA fuses, with gradients of any order.

cuDNN computes convolutions alone. Everything else here is arithmetic per value, which XLA fuses
with its neighbors into one pass over memory, and nothing waits for anything that it does not need:
a GPU has memory enough, and an operation that only orders others costs a kernel.
"""

from typing import Any

import tensorflow as tf

from pgtf.ops import portable, resampling
from pgtf.ops.training import leaky_relu, pixel_norm

__all__ = ["conv2d", "conv2d_down", "conv2d_up", "leaky_relu", "normalized_rgb", "pixel_norm"]

MOST_CHANNELS = 4  # of images whose 1x1 convolutions are sums of products


def conv2d(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """tf.nn.conv2d by the scaled weight; layers to and from images as sums of products.

    cuDNN's convolution of three channels writes maps of float32 that others convert and read again.
    The weight is scaled and cast once per update: the compiler merges equal operations.
    """
    kernel = portable.scaled(weight, scale, x)
    if weight.shape[0] == 1 and weight.shape[2] <= MOST_CHANNELS:
        return _sum_of_inputs(x, kernel[0, 0])
    if weight.shape[0] == 1 and weight.shape[3] <= MOST_CHANNELS:
        return _few_outputs(x, kernel[0, 0])
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def conv2d_up(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """A transposed convolution of stride 2, then `box_filter`; see portable.conv2d_up."""
    kernel = portable.scaled(weight, scale * 4, x)  # turns the means of the box into sums
    shape = resampling.up_shape(x, weight)
    return box_filter(tf.nn.conv2d_transpose(x, kernel, shape, 2, "VALID"))


def conv2d_down(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """`box_filter_transpose`, which pads, then a convolution of stride 2."""
    kernel = portable.scaled(weight, scale, x)
    return tf.nn.conv2d(box_filter_transpose(x), kernel, 2, "VALID")


def normalized_rgb(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`pixel_norm`, then `conv2d`, and a bias."""
    return tf.nn.bias_add(conv2d(pixel_norm(x, epsilon), kernel), bias)


@tf.custom_gradient
def box_filter(x: tf.Tensor) -> Any:
    """Means of all 2x2 neighborhoods: [N, H, W, C] -> [N, H - 1, W - 1, C].

    Pooling and padding fuse with what is around them. A depthwise convolution becomes one of cuDNN
    with as many groups as there are maps, whose gradient is slower still.
    """
    return _means(x), lambda dy: box_filter_transpose(dy)


@tf.custom_gradient
def box_filter_transpose(x: tf.Tensor) -> Any:
    """The same means with a border of zeros: [N, H, W, C] -> [N, H + 1, W + 1, C]."""
    return _means(tf.pad(x, resampling.BORDER)), lambda dy: box_filter(dy)


def _means(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(x, 2, 1, "VALID")


def _sum_of_inputs(x: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """x @ matrix for few inputs: [..., in] * [in, out] -> [..., out]."""
    channels, rows = tf.split(x, matrix.shape[0], axis=-1), tf.unstack(matrix)
    return tf.add_n([channel * row for channel, row in zip(channels, rows, strict=True)])


def _few_outputs(x: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """x @ matrix for few outputs: [..., in] * [in, out] -> [..., out]."""
    columns = tf.unstack(matrix, axis=1)
    return tf.stack([tf.reduce_sum(x * column, axis=-1) for column in columns], axis=-1)
