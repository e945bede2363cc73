"""Operations with custom gradients of any order, arranged for speed and memory."""

from typing import Any

import tensorflow as tf

from pgtf.ops import conv_gradients, portable, resampling

# Bytes of the finest float32 maps of a minibatch up to which one pass of D over two minibatches is
# faster than two. Larger maps take more memory than reading the weights once is worth.
LARGEST_JOINT_MAPS = 2**22


def conv2d(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """`conv_gradients.conv2d`; 1x1 kernels have TensorFlow's own gradients."""
    if weight.shape[0] == 1:
        return portable.conv2d(x, weight, scale)
    return conv_gradients.conv2d(x, weight, 1, "SAME", scale)


def conv2d_up(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """A transposed convolution of stride 2, then `box_filter`; see portable.conv2d_up."""
    size = resampling.up_shape(x, weight)[1:3]
    scale = scale * 4  # turns the means of the box into sums
    return box_filter(conv_gradients.conv2d_transpose(x, weight, size, 2, "VALID", scale))


def conv2d_down(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """`box_filter_transpose`, which pads, then a convolution of stride 2."""
    return conv_gradients.conv2d(box_filter_transpose(x), weight, 2, "VALID", scale)


@tf.custom_gradient
def box_filter(x: tf.Tensor) -> Any:
    """Means of all 2x2 neighborhoods: [N, H, W, C] -> [N, H - 1, W - 1, C].

    Its gradient is `box_filter_transpose`, because TensorFlow's gradient of pooling takes 2.5 times
    as long as pooling itself.
    """
    return resampling.box_means(x), lambda dy: box_filter_transpose(dy)


@tf.custom_gradient
def box_filter_transpose(x: tf.Tensor) -> Any:
    """The same means with a border of zeros: [N, H, W, C] -> [N, H + 1, W + 1, C].

    The padding is part of the operation: 6.1 ms, with tf.pad and pooling 12.1 (128 maps of 128x128,
    minibatch 4; Intel Xeon, 2 cores, November 2026).
    """
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=resampling.box_kernel(x),
        strides=[1, 1, 1, 1],
        padding="EXPLICIT",
        explicit_paddings=[value for pair in resampling.BORDER for value in pair],
    )
    return y, lambda dy: box_filter(dy)


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """tf.nn.leaky_relu whose gradients depend on its output instead of its input.

    Nothing else needs the input, so TensorFlow fuses convolution, bias and activation into one
    oneDNN kernel. The second derivative is known to be zero: TensorFlow's gradient would send
    zeros through a whole backward pass.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> Any:
        y = tf.nn.leaky_relu(x, slope)
        return y, lambda dy: _masked(dy, y, slope)

    return forward(x)


def _masked(dy: tf.Tensor, y: tf.Tensor, slope: float) -> tf.Tensor:
    """dy where y is positive, slope * dy elsewhere; linear in dy, constant in y."""

    @tf.custom_gradient
    def forward(dy: tf.Tensor, y: tf.Tensor) -> Any:
        dx = tf.raw_ops.LeakyReluGrad(gradients=dy, features=y, alpha=slope)
        return dx, lambda ddx: (_masked(ddx, y, slope), None)

    return forward(dy, y)


def pixel_norm(x: tf.Tensor, epsilon: float, slope: float | None = None) -> tf.Tensor:
    """portable.pixel_norm with a gradient of 5 passes over memory instead of 8.

    Leaky ReLU and pixel norm are one operation, because the sign of the output is all that the
    gradient of leaky ReLU needs: one feature map stays in memory instead of two.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> Any:
        activated = x if slope is None else tf.nn.leaky_relu(x, slope)
        y, factors = portable.normalized(activated, epsilon)

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            along = tf.reduce_mean(portable.at_least_float32(dy * y), axis=-1, keepdims=True)
            dx = (dy - y * tf.cast(along, x.dtype)) * tf.cast(factors, x.dtype)
            return dx if slope is None else _masked(dx, y, slope)

        return y, gradient

    return forward(x)


def normalized_rgb(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`pixel_norm`, then a convolution with TensorFlow's own gradients, and a bias."""
    return tf.nn.bias_add(tf.nn.conv2d(pixel_norm(x, epsilon), kernel, 1, "SAME"), bias)


def is_joint_pass_faster(map_bytes: int) -> bool:
    """True if scoring two minibatches in one pass of D is faster than one after the other.

    It halves the number of operations: 16 kimg of the demo take 37 s instead of 40 (Intel Xeon, 2
    cores, November 2026).

    Args:
        map_bytes: size of the finest float32 feature maps of one minibatch.
    """
    return map_bytes <= LARGEST_JOINT_MAPS
