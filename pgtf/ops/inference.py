"""Forward-only operations for generating images on this CPU.

Graphs with them are neither differentiated nor exported, because they may contain XLA clusters and
grouped convolutions, which TensorFlow Lite and other machines lack. Times in this file are from two
cores of an Intel Xeon, November 2026.
"""

import functools
import math
from typing import Any

import tensorflow as tf

from pgtf.ops import im2col, portable, resampling, selection, winograd, xla
from pgtf.ops.portable import conv2d_down, leaky_relu

__all__ = ["conv2d", "conv2d_down", "conv2d_up", "leaky_relu", "normalized_rgb", "pixel_norm"]

# Largest side, in pixels, up to which a wide convolution, plain or upscaling, is faster as a matrix
# product.
LARGEST_PRODUCT, LARGEST_PRODUCT_UP = 8, 32
# Shapes for which compiling pixel norm pays.
MOST_MAPS_COMPILED, FEWEST_PIXELS_COMPILED = 16, 2**18


def conv2d(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """im2col up to 8x8, with the padding; Winograd's form for larger images; portable.conv2d.

    With one product the kernel is read once. One image of 512 maps: 4x4 1.0 ms, in three products
    by rows 1.7; 8x8 1.5, by rows 2.5. Winograd's form: one image of 32x32 11 ms, oneDNN 28.
    """
    if selection.is_wide(weight) and 2 < max(x.shape[1:3]) <= LARGEST_PRODUCT:
        x = x * tf.cast(scale, x.dtype)
        return im2col.convolution(x, tf.cast(weight, x.dtype), at_once=True)
    if selection.uses_winograd(x, weight, 1):
        return winograd.convolution_apart(x, weight, scale)
    return portable.conv2d(x, weight, scale)


def conv2d_up(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """One matrix product up to 32x32; otherwise portable.conv2d_up with a grouped box.

    TensorFlow fuses bias and leaky ReLU with a grouped convolution, but not with a depthwise one:
    16 maps of 1024x1024 6.3 ms instead of 9.5, eight images 49 instead of 73. The values of the box
    are the scale, so no scaled weight is computed: 2 to 3 ms less for each layer of 512 x 512 maps.
    """
    if x.dtype != tf.float32:
        return portable.conv2d_up(x, weight, scale)
    if selection.is_wide(weight) and max(x.shape[1:3]) <= LARGEST_PRODUCT_UP:
        return _conv2d_up_product(x * scale, weight)
    if not has_groups():
        return portable.conv2d_up(x, weight, scale)
    y = tf.nn.conv2d_transpose(x, weight, resampling.up_shape(x, weight), 2, "VALID")
    box = tf.fill([2, 2, 1, weight.shape[2]], tf.cast(scale, x.dtype))
    return tf.nn.conv2d(y, box, 1, "VALID")


def pixel_norm(x: tf.Tensor, epsilon: float, slope: float | None = None) -> tf.Tensor:
    """portable.pixel_norm without a feature map of squares in memory.

    16 maps of 1024x1024: 14 ms instead of 18. The factors of thin, large maps are compiled by XLA,
    because TensorFlow's reduction of few values costs more than reading them: eight images of
    1024x1024 30 ms instead of 56. The gradient of the Euclidean norm at zero is not finite.
    """
    x = x if slope is None else tf.nn.leaky_relu(x, slope)
    wide = portable.at_least_float32(x)
    if _is_compiled(x):
        factors = xla.compiled(portable.pixel_factors, [wide], epsilon)
    else:
        norms = tf.math.reduce_euclidean_norm(wide, axis=-1, keepdims=True)
        factors = tf.math.rsqrt(tf.square(norms) / x.shape[-1] + epsilon)
    return tf.cast(wide * factors, x.dtype)


def normalized_rgb(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`pixel_norm` and a 1x1 convolution in one pass over x, if it is thin and large.

    The normalized pixels are never in memory: one image of 1024x1024 9 ms instead of 17, eight 70
    instead of 124.
    """
    if _is_compiled(x) and kernel.shape[0] == 1:
        return xla.compiled(_few_sums, [x, kernel, bias], epsilon)
    return tf.nn.bias_add(tf.nn.conv2d(pixel_norm(x, epsilon), kernel, 1, "SAME"), bias)


@functools.cache
def has_groups() -> bool:
    """True if TensorFlow fuses a grouped convolution, bias and leaky ReLU, as oneDNN can."""

    @tf.function(autograph=False)
    def fused(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.conv2d(x, tf.ones([2, 2, 1, 2]), 1, "VALID")
        return tf.nn.leaky_relu(tf.nn.bias_add(y, tf.ones([2])))

    with tf.init_scope():
        try:
            fused(tf.ones([1, 2, 2, 2]))
        except tf.errors.UnimplementedError:
            return False
    return True


def _conv2d_up_product(x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """One product of all pixels and taps, then the sums of the box in one pass by XLA.

    One image of 512 maps to 8x8 ... 64x64: 1.4, 2.4, 5.6 and 9.3 ms, a transposed convolution and
    the box 2.0, 2.8, 7.3 and 10.9.
    """
    height, width, num_inputs = x.shape[1:]
    flat = tf.reshape(x, [-1, num_inputs]), tf.reshape(weight, [-1, num_inputs])
    y = tf.reshape(tf.matmul(*flat, transpose_b=True), [-1, height, width, *weight.shape[:3]])
    return xla.compiled(_boxes, [y])


def _boxes(y: tf.Tensor) -> tf.Tensor:
    """Sums 2x2 boxes of pixels times taps: [N, H, W, 3, 3, C] -> [N, 2H, 2W, C]."""
    rows = _even_and_odd(y, axis=1)  # [N, H, W, 3, C]
    pixels = [tf.stack(_even_and_odd(row, axis=2), axis=3) for row in rows]
    height, width, fmaps = 2 * y.shape[1], 2 * y.shape[2], y.shape[5]
    return tf.reshape(tf.stack(pixels, axis=2), [-1, height, width, fmaps])


def _even_and_odd(y: tf.Tensor, axis: int) -> list[tf.Tensor]:
    """Turns one pixel into two along an axis: [N, H, W, 3, ...] -> a pair of [N, H, W, ...].

    The transposed convolution of stride 2 puts tap k of pixel i at 2i + k, and the box sums two
    neighbors.
    """
    first, middle, last = tf.unstack(y, axis=3)
    before, after = _shift(last, axis, [1, 0]), _shift(first, axis, [0, 1])
    return [before + first + middle, middle + last + after]


def _shift(x: tf.Tensor, axis: int, padding: list[int]) -> tf.Tensor:
    """Shifts x by one pixel along an axis."""
    begin, size = [0] * len(x.shape), [-1] * len(x.shape)
    begin[axis], size[axis] = padding[1], x.shape[axis] - 1
    paddings = [[0, 0]] * axis + [padding] + [[0, 0]] * (len(x.shape) - axis - 1)
    return tf.pad(tf.slice(x, begin, size), paddings)


def _few_sums(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    sums = tf.reduce_sum(x[..., tf.newaxis] * kernel[0, 0], axis=-2)
    return sums * portable.pixel_factors(x, epsilon) + bias


def _is_compiled(x: tf.Tensor) -> bool:
    pixels = math.prod(x.shape[1:-1])
    return x.shape[-1] <= MOST_MAPS_COMPILED and pixels >= FEWEST_PIXELS_COMPILED
