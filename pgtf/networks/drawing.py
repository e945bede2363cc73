"""Operations for images that are only made, on this machine's CPU: docs/performance.md.

A graph with them is neither differentiated nor exported: XLA and convolutions in groups may be in
it, which TensorFlow Lite and other machines lack.
"""

import functools
import math

import tensorflow as tf

from pgtf.networks import convolutions, kernels, products, winograd

# Pixels of the side up to which a wide convolution is faster as a product, and an enlarging one.
LARGEST_PRODUCT, LARGEST_PRODUCT_UP = 8, 32
# Where pixel norm is faster compiled by XLA, compiling being worth its time.
MOST_MAPS_COMPILED, FEWEST_PIXELS_COMPILED = 16, 2**18


def conv2d(x, weight, scale=1.0):
    """As kernels.conv2d: [N, H, W, in] * [K, K, in, out] -> [N, H, W, out]."""
    if convolutions.has_product(weight) and 2 < max(x.shape[1:3]) <= LARGEST_PRODUCT:
        x = x * tf.cast(scale, x.dtype)
        return products.convolution(x, tf.cast(weight, x.dtype), at_once=True)
    if convolutions.has_winograd(x, weight, 1):
        return winograd.convolution_apart(x, weight, scale)
    return kernels.conv2d(x, weight, scale)


def conv2d_up(x, weight, scale=1.0):
    """As kernels.conv2d_up: [N, H, W, in] * [3, 3, out, in] -> [N, 2H, 2W, out].

    The box is a convolution in groups, of which bias and leaky ReLU become a part, and its values
    are the scale, so that no scaled weight is made.
    """
    if x.dtype != tf.float32:
        return kernels.conv2d_up(x, weight, scale)
    if convolutions.has_product(weight) and max(x.shape[1:3]) <= LARGEST_PRODUCT_UP:
        return _enlarged_product(x * scale, weight)
    if not has_groups():
        return kernels.conv2d_up(x, weight, scale)
    output_shape = [tf.shape(x)[0], 2 * x.shape[1] + 1, 2 * x.shape[2] + 1, weight.shape[2]]
    y = tf.nn.conv2d_transpose(x, weight, output_shape, 2, "VALID")
    box = tf.fill([2, 2, 1, weight.shape[2]], tf.cast(scale, x.dtype))
    return tf.nn.conv2d(y, box, 1, "VALID")


def _enlarged_product(x, weight):
    """One product of all pixels and taps, then what the box adds up in one pass."""
    height, width, num_inputs = x.shape[1:]
    flat = tf.reshape(x, [-1, num_inputs]), tf.reshape(weight, [-1, num_inputs])
    y = tf.reshape(tf.matmul(*flat, transpose_b=True), [-1, height, width, *weight.shape[:3]])
    return _compiled(_boxes)(y)


def _boxes(y):
    """Pixels of the larger image, of each smaller one times the taps: [N, H, W, 3, 3, C]."""
    rows = _even_and_odd(y, axis=1)  # [N, H, W, 3, C]
    pixels = [tf.stack(_even_and_odd(row, axis=2), axis=3) for row in rows]
    height, width, fmaps = 2 * y.shape[1], 2 * y.shape[2], y.shape[5]
    return tf.reshape(tf.stack(pixels, axis=2), [-1, height, width, fmaps])


def _even_and_odd(y, axis):
    """Two pixels where one was: a pair of [N, H, W, ...] of [N, H, W, 3, ...].

    The transposed convolution of stride 2 puts tap k of pixel i at 2i + k, and the box adds up two
    neighbours.
    """
    first, middle, last = tf.unstack(y, axis=3)
    before, after = _moved(last, axis, [1, 0]), _moved(first, axis, [0, 1])
    return [before + first + middle, middle + last + after]


def _moved(x, axis, padding):
    """By one pixel along an axis."""
    begin, size = [0] * len(x.shape), [-1] * len(x.shape)
    begin[axis], size[axis] = padding[1], x.shape[axis] - 1
    paddings = [[0, 0]] * axis + [padding] + [[0, 0]] * (len(x.shape) - axis - 1)
    return tf.pad(tf.slice(x, begin, size), paddings)


@functools.cache
def has_groups():
    """Whether TensorFlow joins a convolution in groups, bias and leaky ReLU, as oneDNN can."""

    @tf.function(autograph=False)
    def joined(x):
        y = tf.nn.conv2d(x, tf.ones([2, 2, 1, 2]), 1, "VALID")
        return tf.nn.leaky_relu(tf.nn.bias_add(y, tf.ones([2])))

    with tf.init_scope():
        try:
            joined(tf.ones([1, 2, 2, 2]))
        except tf.errors.UnimplementedError:
            return False
    return True


def normalized_pixels(x, epsilon):
    """The first result of kernels.normalized_pixels, without a map of squares in memory.

    The gradient of the Euclidean norm at zero is not finite.
    """
    wide = kernels.at_least_float32(x)
    if _is_compiled(x):
        factors = _compiled(kernels.pixel_factors)(wide, epsilon)
    else:
        norms = tf.math.reduce_euclidean_norm(wide, axis=-1, keepdims=True)
        factors = tf.math.rsqrt(tf.square(norms) / x.shape[-1] + epsilon)
    return tf.cast(wide * factors, x.dtype)


def rgb_of_normalized(x, kernel, bias, epsilon):
    """Pixel norm and toRGB: [N, H, W, in], [K, K, in, out], [out] -> [N, H, W, out].

    In one pass over x if it is large and K = 1, and the normalized pixels are never in memory.
    """
    if _is_compiled(x) and kernel.shape[0] == 1:
        return _compiled(_few_sums)(x, kernel, bias, epsilon)
    return tf.nn.bias_add(tf.nn.conv2d(normalized_pixels(x, epsilon), kernel, 1, "SAME"), bias)


def _few_sums(x, kernel, bias, epsilon):
    sums = tf.reduce_sum(x[..., tf.newaxis] * kernel[0, 0], axis=-2)
    return sums * kernels.pixel_factors(x, epsilon) + bias


def _is_compiled(x):
    pixels = math.prod(x.shape[1:-1])
    return x.shape[-1] <= MOST_MAPS_COMPILED and pixels >= FEWEST_PIXELS_COMPILED


def _compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)
