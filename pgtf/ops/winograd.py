"""3x3 convolutions with four multiplications instead of nine: Winograd's F(2x2, 3x3).

For every 2x2 pixels of the output, a 4x4 tile of the image and the kernel are transformed to 16
positions each, multiplied there as matrices, and the products transformed back. The transforms add,
subtract and halve. In float32 the error is smaller than a convolution's, because each sum has a
ninth as many terms. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
Section 4.1.

The stride is 1, the padding "SAME", height and width are even. XLA fuses each transform of images
into one pass over memory; TensorFlow's own operations take three times as long. 512 maps of 32x32,
minibatch 16, forward, input gradient and weight gradient: 154, 143 and 151 ms, the fastest other
form 222, 212 and 247 (Intel Xeon, 2 cores, November 2026). conv_gradients.py gives it gradients of
any order, selection.py decides where it is used.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.ops import im2col, ordering, xla

_Matrix = np.ndarray[Any, Any]

# Transforms along one axis: from four pixels, three taps and two outputs to four positions each. In
# the paper these are B^T, G, and the transpose of A^T.
_PIXELS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_TAPS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OUTPUTS = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])

# Rows of positions that share a tensor: half of them. No tensor is then larger than a kernel of the
# paper, and TensorFlow's allocator, which hands out chunks of up to twice the size, wastes less.
_HALVES = (slice(0, 2), slice(2, 4))


def convolution(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """tf.nn.conv2d by weight * scale: [N, H, W, in], [3, 3, in, out] -> [N, H, W, out]."""
    return _filter(x, weight, scale, _TAPS, transpose_b=False)


def convolution_apart(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """`convolution` for inference: each of the 16 positions is a separate tensor and product.

    One image: 64x64 12% faster, 32x32 10%, 16x16 5% (Intel Xeon, 2 cores, November 2026). XLA takes
    twice as long to compile it.
    """
    with ordering.after(x):
        matrix = _tap_matrix(_TAPS, slice(4), weight.dtype, scale)
        kernels = tf.matmul(matrix, tf.reshape(weight, [9, -1]))
    kernels = tf.unstack(tf.reshape(kernels, [16, *weight.shape[2:]]))
    maps = map(tf.matmul, xla.compiled(_tiles_apart, [x], now=True), kernels)
    return xla.compiled(_images_apart, [*maps], *x.shape[1:3], now=True)


def transpose(y: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """Transpose of `convolution`: [N, H, W, out], [3, 3, in, out] -> [N, H, W, in].

    It is a convolution by the rotated kernel, so two transforms of images serve both directions.
    Summing overlapping tiles instead takes 118 ms, this way 99 (256 maps of 64x64, minibatch 8).
    """
    return _filter(y, weight, scale, _TAPS[:, ::-1], transpose_b=True)


def weight_gradient(x: tf.Tensor, dy: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """Weight gradient of `convolution`: [N, H, W, in], dL/dy [N, H, W, out] -> [3, 3, in, out]."""
    num_inputs, num_outputs, total = x.shape[3], dy.shape[3], None
    for half in _HALVES:

        def product(x: tf.Tensor, dy: tf.Tensor, half: slice = half) -> tf.Tensor:
            return tf.matmul(_pixel_tiles(x, half), _output_tiles(dy, half), transpose_a=True)

        # Wait: tiles made in the forward pass, or of both halves at once, would fill memory.
        with ordering.after(dy if total is None else total):
            sums = _sum_in_turn(product, x, dy, _images_at_a_time(x, max(num_inputs, num_outputs)))
        taps = _tap_matrix(_TAPS, half, x.dtype, scale)
        share = tf.matmul(taps, tf.reshape(sums, [8, -1]), transpose_a=True)
        total = share if total is None else total + share
    return tf.reshape(total, [3, 3, num_inputs, num_outputs])


def _filter(
    x: tf.Tensor, weight: tf.Tensor, scale: Any, taps: _Matrix, transpose_b: bool
) -> tf.Tensor:
    """Transforms images to tiles, multiplies them by the transformed kernel, transforms back."""
    kernels = []
    for half in _HALVES:
        with ordering.after(x):
            matrix = _tap_matrix(taps, half, weight.dtype, scale)
            kernel = tf.matmul(matrix, tf.reshape(weight, [9, -1]))
        kernels.append(tf.reshape(kernel, [8, *weight.shape[2:]]))

    def images(x: tf.Tensor) -> tf.Tensor:
        tiles = (_pixel_tiles(x, half) for half in _HALVES)
        pairs = zip(tiles, kernels, strict=True)
        halves = [tf.matmul(*pair, transpose_b=transpose_b) for pair in pairs]
        return xla.compiled(_images, halves, *x.shape[1:3], now=True)

    return _in_turn(images, x, _images_at_a_time(x, max(weight.shape[2:])))


def _images_at_a_time(x: tf.Tensor, fmaps: int) -> int | None:
    """Number of images whose tiles fit into im2col.PATCHES_BYTES; None = unknown, all at once."""
    num_images, height, width = x.shape[:3]
    if not num_images:
        return None
    fit = max(im2col.PATCHES_BYTES // (8 * height * width * fmaps * x.dtype.size), 1)
    return max(n for n in range(1, num_images + 1) if n <= fit and num_images % n == 0)


def _in_turn(function: Callable[..., tf.Tensor], x: tf.Tensor, at_a_time: int | None) -> tf.Tensor:
    """Applies a function to a few images at a time, or to all (None): [N, ...] -> [N, ...].

    A loop of the graph, because unrolled turns were traced 1,459 times at 32x32, minibatch 16, and
    the first call took 26.5 s instead of 20.5 (November 2026). Two turns are fewer operations
    without a loop.
    """
    if at_a_time in (None, x.shape[0]):
        return function(x)
    num_turns = x.shape[0] // at_a_time
    if num_turns == 2:
        first = function(_slice(x, 0, at_a_time))
        with ordering.after(first):  # Both at once would need the memory that turns save.
            return tf.concat([first, function(_slice(x, 1, at_a_time))], axis=0)

    def turn(i: tf.Tensor, results: tf.TensorArray) -> Any:
        return i + 1, results.write(i, function(_slice(x, i, at_a_time)))

    begin = [0, tf.TensorArray(x.dtype, num_turns)]
    _, results = tf.while_loop(lambda i, _: i < num_turns, turn, begin, parallel_iterations=1)
    results = results.stack()  # [N / at_a_time, at_a_time, ...]
    return tf.reshape(results, [-1, *results.shape[2:]])


def _sum_in_turn(
    function: Callable[..., tf.Tensor], x: tf.Tensor, y: tf.Tensor, at_a_time: int | None
) -> tf.Tensor:
    """Sums a function of two tensors over the minibatch; `at_a_time` as in `_in_turn`."""
    if at_a_time in (None, x.shape[0]):
        return function(x, y)
    num_turns = x.shape[0] // at_a_time

    def share(i: Any) -> tf.Tensor:
        return function(_slice(x, i, at_a_time), _slice(y, i, at_a_time))

    def turn(i: tf.Tensor, total: tf.Tensor) -> Any:
        return i + 1, total + share(i)

    if num_turns == 2:
        total = share(0)
        with ordering.after(total):
            return total + share(1)
    # Start with the first share: zeros would stay in memory as a constant of the graph.
    begin = [1, share(0)]
    return tf.while_loop(lambda i, _: i < num_turns, turn, begin, parallel_iterations=1)[1]


def _slice(x: tf.Tensor, i: Any, size: int) -> tf.Tensor:
    # A list with a tensor in it would be packed, by twice as many operations.
    begin = [i * size, 0, 0, 0] if isinstance(i, int) else tf.constant([size, 0, 0, 0]) * i
    return tf.slice(x, begin, [size, *x.shape[1:]])


def _tap_matrix(taps: _Matrix, rows: slice, dtype: Any, scale: Any) -> tf.Tensor:
    """Matrix from the taps of a kernel to R rows of positions, times the scale: [4 * R, 9]."""
    return tf.constant(np.kron(taps[rows], taps), dtype) * tf.cast(scale, dtype)


def _pixel_tiles(x: tf.Tensor, half: slice) -> tf.Tensor:
    """Tiles of images, four pixels wide and two apart: [N, H, W, C] -> [8, N * H/2 * W/2, C]."""
    return xla.compiled(_tiles, [x], 4, half.start, half.stop, now=True)


def _output_tiles(y: tf.Tensor, half: slice) -> tf.Tensor:
    """Tiles of outputs, two pixels wide: [N, H, W, C] -> [8, N * H/2 * W/2, C]."""
    return xla.compiled(_tiles, [y], 2, half.start, half.stop, now=True)


def _tiles(x: tf.Tensor, size: int, start: int, stop: int) -> tf.Tensor:
    height, width, fmaps = x.shape[1:]
    matrix = {4: _PIXELS, 2: _OUTPUTS}[size]
    around = [size // 2 - 1] * 2
    x = tf.pad(x, [[0, 0], around, around, [0, 0]])
    x = _combine(matrix[start:stop], tf.stack([x[:, i : i + height : 2] for i in range(size)]), 0)
    columns = [x[:, :, :, i : i + width : 2] for i in range(size)]
    x = _combine(matrix, tf.stack(columns, axis=1), 1)  # [2, 4, N, H/2, W/2, C]
    return tf.reshape(x, [8, -1, fmaps])


def _images(first: tf.Tensor, second: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Transpose of `_output_tiles`, from both halves."""
    fmaps = first.shape[2]
    x = tf.concat([first, second], axis=0)
    x = tf.reshape(x, [4, 4, -1, height // 2, width // 2, fmaps])
    x = _combine(_OUTPUTS.T, _combine(_OUTPUTS.T, x, 0), 1)  # [2, 2, N, H/2, W/2, C]
    return tf.reshape(tf.transpose(x, [2, 3, 0, 4, 1, 5]), [-1, height, width, fmaps])


def _combine(matrix: _Matrix, x: tf.Tensor, axis: int) -> tf.Tensor:
    """Multiplies an axis of x by a matrix, in a form that XLA fuses with its neighbors."""
    shape = [1] * axis + [*matrix.shape] + [1] * (len(x.shape) - axis - 1)
    x = tf.constant(matrix.reshape(shape), x.dtype) * tf.expand_dims(x, axis)
    return tf.reduce_sum(x, axis + 1)


def _tiles_apart(x: tf.Tensor) -> list[tf.Tensor]:
    """Tiles of pixels, one tensor per position: [N, H, W, C] -> 16 times [N * H/2 * W/2, C]."""
    height, width, fmaps = x.shape[1:]
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    positions = []
    for row in _sums(_PIXELS, [x[:, i : i + height : 2] for i in range(4)]):
        positions += _sums(_PIXELS, [row[:, :, i : i + width : 2] for i in range(4)])
    return [tf.reshape(x, [-1, fmaps]) for x in positions]


def _images_apart(*maps_and_size: Any) -> tf.Tensor:
    """`_images` for one tensor per position; the last two arguments are height and width."""
    *maps, height, width = maps_and_size
    maps = [tf.reshape(x, [-1, height // 2, width // 2, x.shape[-1]]) for x in maps]
    rows = [_sums(_OUTPUTS.T, maps[i : i + 4]) for i in range(0, 16, 4)]
    pixels = [_sums(_OUTPUTS.T, column) for column in zip(*rows, strict=True)]  # [2][2]
    x = tf.stack([tf.stack(column, axis=2) for column in pixels], axis=4)
    return tf.reshape(x, [-1, height, width, x.shape[-1]])


def _sums(matrix: _Matrix, tensors: Any) -> list[tf.Tensor]:
    """Weighted sums of tensors; the weights are the rows of a matrix."""
    terms = [[c * x for c, x in zip(row, tensors, strict=True) if c] for row in matrix.tolist()]
    return [functools.reduce(operator.add, row) for row in terms]
