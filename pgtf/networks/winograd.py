"""3x3 convolutions with four multiplications where nine were: Winograd's F(2x2, 3x3).

For 2x2 pixels of the output, a 4x4 tile of the image and the kernel are transformed to 16 positions
each, multiplied there as matrices, and the products transformed back. The transforms add, subtract
and halve; in float32 the sums of a ninth as many products lose less than a convolution's. Lavin and
Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, Section 4.1.

The stride is 1, the padding "SAME", height and width are even. All three directions are made of the
same linear maps and their transposes; gradients of any order: `convolutions`.
"""

import numpy as np
import tensorflow as tf

from pgtf.networks import products

# Along one axis: of four pixels, three taps and two outputs, to four positions each. In the paper
# these are B^T, G, and the transpose of A^T.
_PIXELS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_TAPS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OUTPUTS = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])

LARGEST_WHOLE = 8  # pixels of the side of images transformed in both directions by one product

# Half of the positions at a time, by row: no map is then larger than a kernel of the paper, and
# TensorFlow's allocator, which hands out chunks of up to twice the size, wastes less.
_HALVES = (slice(0, 2), slice(2, 4))


def convolution(x, weight, scale=1.0):
    """tf.nn.conv2d by weight * scale: [N, H, W, in], [3, 3, in, out] -> [N, H, W, out]."""
    return _filtered(x, weight, scale, _of_pixels, _of_outputs, transpose_b=False)


def transpose(y, weight, scale=1.0):
    """Transpose of `convolution`: [N, H, W, out], [3, 3, in, out] -> [N, H, W, in]."""
    return _filtered(y, weight, scale, _of_outputs, _of_pixels, transpose_b=True)


def weight_gradient(x, dy, scale=1.0):
    """Of a `convolution` x -> y: [N, H, W, in], dL/dy [N, H, W, out] -> [3, 3, in, out]."""
    total = None
    for half in _HALVES:
        for part in _parts(x, max(x.shape[3], dy.shape[3])):
            # Neither in the forward pass, where all would be held, nor next to the one before.
            with products.after(dy if total is None else total):
                seen = _to_tiles(x[part], _of_pixels, half)
                wanted = _to_tiles(dy[part], _of_outputs, half)
            product = tf.reshape(tf.matmul(seen, wanted, transpose_a=True), [8, -1])
            share = tf.matmul(_of_taps(half, x.dtype, scale), product, transpose_a=True)
            total = share if total is None else total + share
    return tf.reshape(total, [3, 3, x.shape[3], dy.shape[3]])


def _filtered(x, weight, scale, before, after, transpose_b):
    """Images through a kernel by way of tiles, as many at a time as fit into memory."""
    taps, total = tf.reshape(weight, [9, -1]), None
    for half in _HALVES:
        with products.after(x if total is None else total):
            kernel = tf.matmul(_of_taps(half, weight.dtype, scale), taps)
            kernel = tf.reshape(kernel, [8, *weight.shape[2:]])
        outputs = [kernel]
        for part in _parts(x, max(weight.shape[2:])):
            with products.after(outputs[-1]):
                tiles = _to_tiles(x[part], before, half)
            tiles = tf.matmul(tiles, kernel, transpose_b=transpose_b)
            outputs.append(_to_images(tiles, after, half, *x.shape[1:3]))
        images = tf.concat(outputs[1:], axis=2)
        total = images if total is None else total + images
    return tf.transpose(total, [2, 0, 1, 3])


def _parts(x, fmaps):
    """Slices of a minibatch whose tiles and their product, or tiles of two kinds, fit together."""
    height, width = x.shape[1:3]
    return products.parts(x.shape[0], 4 * height * width * fmaps * x.dtype.size)


def _to_tiles(x, matrix, half):
    """Images to half of the positions of their tiles: [N, H, W, C] -> [8, H/2 * W/2 * N, C]."""
    height, width, fmaps = x.shape[1:]
    rows, columns = matrix(height)[half], matrix(width)
    x = tf.transpose(x, [1, 2, 0, 3])
    if max(height, width) <= LARGEST_WHOLE:
        x = tf.matmul(_both(rows, columns, x.dtype), tf.reshape(x, [height * width, -1]))
        return tf.reshape(x, [8, -1, fmaps])
    x = tf.matmul(_flat(rows, x.dtype), tf.reshape(x, [height, -1]))
    x = tf.matmul(_flat(columns, x.dtype), tf.reshape(x, [height, width, -1]))
    x = tf.transpose(tf.reshape(x, [2, height // 2, 4, -1]), [0, 2, 1, 3])
    return tf.reshape(x, [8, -1, fmaps])


def _to_images(tiles, matrix, half, height, width):
    """The transpose of `_to_tiles`, without the last step: -> [H, W, N, C]."""
    rows, columns = matrix(height)[half], matrix(width)
    if max(height, width) <= LARGEST_WHOLE:
        both = _both(rows, columns, tiles.dtype)
        x = tf.matmul(both, tf.reshape(tiles, [both.shape[0], -1]), transpose_a=True)
    else:
        x = tf.transpose(tf.reshape(tiles, [2, 4, height // 2, -1]), [0, 2, 1, 3])
        x = tf.reshape(x, [height, 2 * width, -1])
        x = tf.matmul(_flat(columns, x.dtype), x, transpose_a=True)
        x = tf.matmul(_flat(rows, x.dtype), tf.reshape(x, [height, -1]), transpose_a=True)
    return tf.reshape(x, [height, width, -1, tiles.shape[2]])


def _of_taps(half, dtype, scale):
    """Of a kernel: [8, 9]."""
    return tf.constant(np.kron(_TAPS[half], _TAPS), dtype) * tf.cast(scale, dtype)


def _of_pixels(size):
    """Of the rows or columns of an image, zeros around it: [4, size / 2, size]."""
    matrix = np.zeros([4, size // 2, size + 2])
    for tile in range(size // 2):
        matrix[:, tile, 2 * tile : 2 * tile + 4] = _PIXELS
    return matrix[:, :, 1:-1]


def _of_outputs(size):
    """Of the rows or columns of an output: [4, size / 2, size]."""
    matrix = np.zeros([4, size // 2, size])
    for tile in range(size // 2):
        matrix[:, tile, 2 * tile : 2 * tile + 2] = _OUTPUTS
    return matrix


def _flat(matrix, dtype):
    return tf.constant(matrix.reshape(-1, matrix.shape[2]), dtype)


def _both(rows, columns, dtype):
    """Of rows and columns at once: [8 * H/2 * W/2, H * W]."""
    both = np.einsum("aih,bjw->abijhw", rows, columns)
    return tf.constant(both.reshape(-1, rows.shape[2] * columns.shape[2]), dtype)
