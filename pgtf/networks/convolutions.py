"""Convolutions whose weight gradients are matrix products where those are faster: on CPUs.

oneDNN's weight gradients of strided convolutions and of small images reach a quarter to a half of
the rate of its other directions; a matrix product of the patches that the kernel saw reaches nearly
all of it: docs/performance.md. Gradients are of any order.
"""

import numpy as np
import tensorflow as tf

# By stride: the largest side of an output, in pixels, whose weight gradient is faster as a product,
# in float32; twice that in half precision, whose weight gradients are slower still.
LARGEST_PRODUCT = {1: 8, 2: 128}
FEWEST_MAPS = 64 * 128  # in times out; thinner layers, such as the demo's, take longer as products
PATCHES_BYTES = 2**25  # of memory for patches; more images than fit are worked on in turn


def convolved(x, kernel, stride, padding):
    """tf.nn.conv2d with other weight gradients: [N, H, W, in], [K, K, in, out] -> [N, H', W', out].

    Args:
        stride: 1 or 2, of rows and columns.
        padding: "SAME" or "VALID".
    """

    @tf.custom_gradient
    def forward(x, kernel):
        def gradients(dy):
            dx = transposed(dy, kernel, x.shape[1:3], stride, padding)
            return dx, _weight_gradient(x, dy, kernel.shape, stride, padding)

        return tf.nn.conv2d(x, kernel, stride, padding), gradients

    return forward(x, kernel)


def transposed(x, kernel, size, stride, padding):
    """The transpose of `convolved`: [N, H', W', out], [K, K, in, out] -> [N, *size, in]."""

    @tf.custom_gradient
    def forward(x, kernel):
        def gradients(dy):
            dx = convolved(dy, kernel, stride, padding)
            return dx, _weight_gradient(dy, x, kernel.shape, stride, padding)

        output_shape = [tf.shape(x)[0], *size, kernel.shape[2]]
        return tf.nn.conv2d_transpose(x, kernel, output_shape, stride, padding), gradients

    return forward(x, kernel)


def _weight_gradient(x, dy, kernel_shape, stride, padding):
    """Of a convolution x -> y: [N, H, W, in], dL/dy [N, H', W', out] -> [K, K, in, out]."""
    largest = LARGEST_PRODUCT[stride] * (2 if x.dtype.size < 4 else 1)
    is_small = max(dy.shape[1:3]) <= largest and kernel_shape[2] * kernel_shape[3] >= FEWEST_MAPS
    if tf.config.list_logical_devices("GPU") or not is_small:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel_shape,
            out_backprop=dy,
            strides=[1, stride, stride, 1],
            padding=padding,
        )
    row_size = kernel_shape[0] * kernel_shape[1] * kernel_shape[2]
    image_bytes = dy.shape[1] * dy.shape[2] * row_size * x.dtype.size
    at_a_time = max(PATCHES_BYTES // image_bytes, 1)
    total = None
    for begin in range(0, x.shape[0] or 1, at_a_time):
        part = slice(begin, begin + at_a_time) if x.shape[0] else slice(None)
        # Neither in the forward pass, where all would be held, nor next to the part before.
        with tf.control_dependencies([dy if total is None else total]):
            patches = _patches(x[part], kernel_shape[0], dy.shape[1:3], stride, padding)
        rows = tf.reshape(patches, [-1, row_size])
        product = tf.matmul(rows, tf.reshape(dy[part], [-1, kernel_shape[3]]), transpose_a=True)
        total = product if total is None else total + product
    return tf.reshape(total, kernel_shape)


def _patches(x, kernel_size, output_size, stride, padding):
    """What a kernel sees at each position: [N, H, W, C] -> [N, H' * W' * K * K, C].

    Copies whole pixels, which is much faster than tf.image.extract_patches.
    """
    batch = tf.shape(x)[0]
    height, width, fmaps = x.shape[1:]
    # "SAME" is meant for stride 1 and odd kernels alone.
    before = kernel_size // 2 if padding == "SAME" else 0
    rows, columns = (
        np.arange(size)[:, np.newaxis] * stride + np.arange(kernel_size) - before
        for size in output_size
    )
    rows, columns = rows[:, np.newaxis, :, np.newaxis], columns[np.newaxis, :, np.newaxis, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels = np.where(inside, rows * width + columns, height * width)  # the last one is zero
    x = tf.reshape(x, [batch, height * width, fmaps])
    if before:
        x = tf.concat([x, tf.zeros([batch, 1, fmaps], x.dtype)], axis=1)
    return tf.gather(x, pixels.astype(np.int32).ravel(), axis=1)
