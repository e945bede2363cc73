"""The operations behind the layers, in the forms that run fastest: docs/performance.md.

All have gradients of any order.
"""

import tensorflow as tf

from pgtf.networks import convolutions

_BORDER = [[0, 0], [1, 1], [1, 1], [0, 0]]  # of an NHWC image


def conv2d(x, weight, scale=1.0, training=False):
    """A convolution that keeps the size: [N, H, W, in] * [K, K, in, out] -> [N, H, W, out].

    The kernel is weight * scale, in the dtype of x; `training` as in `conv2d_up`.
    """
    if training and weight.shape[0] > 1:
        return convolutions.convolved(x, weight, 1, "SAME", scale)
    return tf.nn.conv2d(x, _kernel(weight, scale, x), 1, "SAME")


def conv2d_up(x, weight, scale=1.0, training=False):
    """Nearest-neighbour enlarging, then a convolution: [N, H, W, in] -> [N, 2H, 2W, out].

    The kernel [3, 3, out, in] is that of the transposed convolution, as in the original release.
    Enlarging by repetition is a transposed convolution with a 2x2 box, and the order of the two
    does not matter: with the box last, 9 taps work at the smaller size, where the fused 4x4 kernel
    has 16, and the plain way 9 at four times the pixels.

    `training` chooses gradients of our own; without it there are TensorFlow's.
    """
    size = [2 * x.shape[1] + 1, 2 * x.shape[2] + 1]
    scale = scale * 4  # makes sums of the means
    if training:
        return shrunk(convolutions.transposed(x, weight, size, 2, "VALID", scale))
    output_shape = [tf.shape(x)[0], *size, weight.shape[2]]
    kernel = _kernel(weight, scale, x)
    return _pooled(tf.nn.conv2d_transpose(x, kernel, output_shape, 2, "VALID"))


def conv2d_down(x, weight, scale=1.0, training=False):
    """A convolution, then 2x2 means: [N, H, W, in] * [3, 3, in, out] -> [N, H/2, W/2, out].

    Computed as `conv2d_up`, the other way around: means first, then 9 taps at the smaller size.
    """
    if training:
        return convolutions.convolved(grown(x), weight, 2, "VALID", scale)
    return tf.nn.conv2d(_pooled(tf.pad(x, _BORDER)), _kernel(weight, scale, x), 2, "VALID")


def _kernel(weight, scale, x):
    return tf.cast(weight * tf.cast(scale, weight.dtype), x.dtype)


@tf.custom_gradient
def shrunk(x):
    """Means of all 2x2 neighbourhoods: [N, H, W, C] -> [N, H - 1, W - 1, C].

    `grown` is its transpose, and faster than the gradient that TensorFlow has for pooling.
    """
    return _pooled(x), lambda dy: grown(dy)


@tf.custom_gradient
def grown(x):
    """The same means with zeros all around: [N, H, W, C] -> [N, H + 1, W + 1, C]."""
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=_box(x),
        strides=[1, 1, 1, 1],
        padding="EXPLICIT",
        explicit_paddings=[value for pair in _BORDER for value in pair],
    )
    return y, lambda dy: shrunk(dy)


def _pooled(x):
    if tf.config.list_logical_devices("GPU"):
        return tf.nn.avg_pool2d(x, 2, 1, "VALID")
    # On a CPU, bias and leaky ReLU behind it become part of this operation.
    return tf.nn.depthwise_conv2d(x, _box(x), [1, 1, 1, 1], "VALID")


def _box(x):
    return tf.fill([2, 2, x.shape[3], 1], tf.constant(0.25, x.dtype))


def leaky_relu(x, slope):
    """x where positive, slope * x elsewhere; 0 <= slope < 1.

    Its gradients look at the output, not the input as TensorFlow's do, so that convolution, bias
    and activation can be one kernel; and they know that the second derivative is zero, where
    TensorFlow sends zeros through a whole backward pass.
    """

    @tf.custom_gradient
    def forward(x):
        y = tf.nn.leaky_relu(x, slope)
        return y, lambda dy: _masked(dy, y, slope)

    return forward(x)


def _masked(dy, y, slope):
    """dy where y is positive, slope * dy elsewhere; linear in dy, constant in y."""

    @tf.custom_gradient
    def forward(dy, y):
        dx = tf.raw_ops.LeakyReluGrad(gradients=dy, features=y, alpha=slope)
        return dx, lambda ddx: (_masked(ddx, y, slope), None)

    return forward(dy, y)


def pixel_norm(x, epsilon, slope=None):
    """`normalized_pixels` with a gradient of fewer passes over memory: [N, ..., C] -> same.

    With `slope` of `leaky_relu(x, slope)`, and then from one map in memory instead of two: the
    sign of the result is that of x.
    """

    @tf.custom_gradient
    def forward(x):
        y, factors = normalized_pixels(x if slope is None else tf.nn.leaky_relu(x, slope), epsilon)

        def gradient(dy):
            along = tf.reduce_mean(at_least_float32(dy * y), axis=-1, keepdims=True)
            dx = (dy - y * tf.cast(along, x.dtype)) * tf.cast(factors, x.dtype)
            return dx if slope is None else _masked(dx, y, slope)

        return y, gradient

    return forward(x)


def normalized_pixels(x, epsilon):
    """x over the root mean square of its last axis, and the factors: -> [N, ..., C], [N, ..., 1].

    Statistics and factors are float32, or float64 as x is.
    """
    factors = pixel_factors(x, epsilon)
    return tf.cast(at_least_float32(x) * factors, x.dtype), factors


def pixel_factors(x, epsilon):
    """One over the root mean square of the last axis: [N, ..., C] -> [N, ..., 1]."""
    mean_squares = tf.reduce_mean(tf.square(at_least_float32(x)), axis=-1, keepdims=True)
    return tf.math.rsqrt(mean_squares + epsilon)


def at_least_float32(x):
    """x, or half precision as float32."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x
