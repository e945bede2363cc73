"""3x3 convolutions with four multiplications where nine were: Winograd's F(2x2, 3x3).

For 2x2 pixels of the output, a 4x4 tile of the image and the kernel are transformed to 16 positions
each, multiplied there as matrices, and the products transformed back. The transforms add, subtract
and halve; in float32 the sums of a ninth as many products lose less than a convolution's. Lavin and
Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, Section 4.1.

The stride is 1, the padding "SAME", height and width are even. XLA makes one pass over memory of
each transform of images; TensorFlow's own operations would take three times as long. Gradients of
any order: `convolutions`.
"""

import functools
import operator

import numpy as np
import tensorflow as tf

from pgtf.networks import products

# Along one axis: of four pixels, three taps and two outputs, to four positions each. In the paper
# these are B^T, G, and the transpose of A^T.
_PIXELS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_TAPS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OUTPUTS = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])

# Half of the positions in a tensor, by row: none is then larger than a kernel of the paper, and
# TensorFlow's allocator, which hands out chunks of up to twice the size, wastes less.
_HALVES = (slice(0, 2), slice(2, 4))


def convolution(x, weight, scale=1.0):
    """tf.nn.conv2d by weight * scale: [N, H, W, in], [3, 3, in, out] -> [N, H, W, out]."""
    return _filtered(x, weight, scale, _TAPS, transpose_b=False)


def convolution_apart(x, weight, scale=1.0):
    """As `convolution`, but faster and without gradients: every position is a tensor of its own.

    XLA takes twice as long to compile it.
    """
    with products.after(x):
        matrix = _of_taps(_TAPS, slice(4), weight.dtype, scale)
        kernels = tf.matmul(matrix, tf.reshape(weight, [9, -1]))
    kernels = tf.unstack(tf.reshape(kernels, [16, *weight.shape[2:]]))
    maps = map(tf.matmul, _by_xla(_tiles_apart, [x]), kernels)
    return _by_xla(_images_apart, [*maps], *x.shape[1:3])


def transpose(y, weight, scale=1.0):
    """Transpose of `convolution`: [N, H, W, out], [3, 3, in, out] -> [N, H, W, in].

    Which is a convolution too, by the kernel turned around.
    """
    return _filtered(y, weight, scale, _TAPS[:, ::-1], transpose_b=True)


def weight_gradient(x, dy, scale=1.0):
    """Of a `convolution` x -> y: [N, H, W, in], dL/dy [N, H, W, out] -> [3, 3, in, out]."""
    num_inputs, num_outputs, total = x.shape[3], dy.shape[3], None
    for half in _HALVES:

        def product(x, dy, half=half):
            return tf.matmul(_of_pixels(x, half), _of_outputs(dy, half), transpose_a=True)

        # Neither in the forward pass, where all would be held, nor next to the half before.
        with products.after(dy if total is None else total):
            sums = _sum_in_turn(product, x, dy, _images_at_a_time(x, max(num_inputs, num_outputs)))
        taps = _of_taps(_TAPS, half, x.dtype, scale)
        share = tf.matmul(taps, tf.reshape(sums, [8, -1]), transpose_a=True)
        total = share if total is None else total + share
    return tf.reshape(total, [3, 3, num_inputs, num_outputs])


def _filtered(x, weight, scale, taps, transpose_b):
    """Images through a kernel by way of tiles."""
    kernels = []
    for half in _HALVES:
        with products.after(x):
            matrix = _of_taps(taps, half, weight.dtype, scale)
            kernel = tf.matmul(matrix, tf.reshape(weight, [9, -1]))
        kernels.append(tf.reshape(kernel, [8, *weight.shape[2:]]))

    def images(x):
        tiles = (_of_pixels(x, half) for half in _HALVES)
        pairs = zip(tiles, kernels, strict=True)
        halves = [tf.matmul(*pair, transpose_b=transpose_b) for pair in pairs]
        return _to_images(halves, *x.shape[1:3])

    return _in_turn(images, x, _images_at_a_time(x, max(weight.shape[2:])))


def _images_at_a_time(x, fmaps):
    """How many images' tiles, with their product or of two kinds, fit together."""
    num_images, height, width = x.shape[:3]
    if not num_images:  # as where images are only made
        return None
    fit = max(products.PATCHES_BYTES // (8 * height * width * fmaps * x.dtype.size), 1)
    return max(n for n in range(1, num_images + 1) if n <= fit and num_images % n == 0)


def _in_turn(function, x, at_a_time):
    """A function of images, of a few or (None) all at a time: [N, ...] -> [N, ...]."""
    if at_a_time in (None, x.shape[0]):
        return function(x)
    num_turns = x.shape[0] // at_a_time

    def turn(i, results):
        return i + 1, results.write(i, function(_slice(x, i, at_a_time)))

    begin = [0, tf.TensorArray(x.dtype, num_turns)]
    _, results = tf.while_loop(lambda i, _: i < num_turns, turn, begin, parallel_iterations=1)
    results = results.stack()  # [N / at_a_time, at_a_time, ...]
    return tf.reshape(results, [-1, *results.shape[2:]])


def _sum_in_turn(function, x, y, at_a_time):
    """Sums a function of two tensors over the minibatch; `at_a_time` as in `_in_turn`."""
    if at_a_time in (None, x.shape[0]):
        return function(x, y)
    num_turns = x.shape[0] // at_a_time

    def of_turn(i):
        return function(_slice(x, i, at_a_time), _slice(y, i, at_a_time))

    def turn(i, total):
        return i + 1, total + of_turn(i)

    # Begins with a turn: zeros to begin with would stay in memory as a constant of the graph.
    begin = [1, of_turn(0)]
    return tf.while_loop(lambda i, _: i < num_turns, turn, begin, parallel_iterations=1)[1]


def _slice(x, i, size):
    return tf.slice(x, [i * size, 0, 0, 0], [size, *x.shape[1:]])


def _of_taps(taps, rows, dtype, scale):
    """From the taps of a kernel to rows of positions: [4 * R, 9] of R rows."""
    return tf.constant(np.kron(taps[rows], taps), dtype) * tf.cast(scale, dtype)


def _of_pixels(x, half):
    """Tiles of images, four pixels wide and two apart: [N, H, W, C] -> [8, N * H/2 * W/2, C]."""
    return _by_xla(_tiles, [x], 4, half.start, half.stop)


def _of_outputs(y, half):
    """Tiles of outputs, two pixels wide: [N, H, W, C] -> [8, N * H/2 * W/2, C]."""
    return _by_xla(_tiles, [y], 2, half.start, half.stop)


def _to_images(halves, height, width):
    """The transpose of `_of_outputs`, of both halves."""
    return _by_xla(_images, halves, height, width)


def _by_xla(function, tensors, *numbers):
    shapes = tuple(tuple(x.shape) for x in tensors)
    return _compiled(function, numbers, shapes, tensors[0].dtype)(*tensors)


@functools.cache  # so that XLA compiles it once, however many graphs it is part of
def _compiled(function, numbers, shapes, dtype):
    compiled = tf.function(lambda *x: function(*x, *numbers), jit_compile=True, autograph=False)
    if all(None not in shape for shape in shapes):
        # Compiled now: an update that waits for XLA goes on elsewhere, with more in memory.
        with tf.init_scope():
            in_graph = tf.function(lambda *x: compiled(*x), autograph=False)
            in_graph(*(tf.zeros(shape, dtype) for shape in shapes))
    return compiled


def _tiles(x, size, start, stop):
    height, width, fmaps = x.shape[1:]
    matrix = {4: _PIXELS, 2: _OUTPUTS}[size]
    around = [size // 2 - 1] * 2
    x = tf.pad(x, [[0, 0], around, around, [0, 0]])
    x = _combined(matrix[start:stop], tf.stack([x[:, i : i + height : 2] for i in range(size)]), 0)
    columns = [x[:, :, :, i : i + width : 2] for i in range(size)]
    x = _combined(matrix, tf.stack(columns, axis=1), 1)  # [2, 4, N, H/2, W/2, C]
    return tf.reshape(x, [8, -1, fmaps])


def _images(first, second, height, width):
    fmaps = first.shape[2]
    x = tf.concat([first, second], axis=0)
    x = tf.reshape(x, [4, 4, -1, height // 2, width // 2, fmaps])
    x = _combined(_OUTPUTS.T, _combined(_OUTPUTS.T, x, 0), 1)  # [2, 2, N, H/2, W/2, C]
    return tf.reshape(tf.transpose(x, [2, 3, 0, 4, 1, 5]), [-1, height, width, fmaps])


def _combined(matrix, x, axis):
    """Multiplies an axis of x by a matrix, in a form that XLA makes part of what is around."""
    shape = [1] * axis + [*matrix.shape] + [1] * (len(x.shape) - axis - 1)
    x = tf.constant(matrix.reshape(shape), x.dtype) * tf.expand_dims(x, axis)
    return tf.reduce_sum(x, axis + 1)


def _tiles_apart(x):
    """As `_tiles` of pixels, of all positions: [N, H, W, C] -> 16 times [N * H/2 * W/2, C]."""
    height, width, fmaps = x.shape[1:]
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    positions = []
    for row in _sums(_PIXELS, [x[:, i : i + height : 2] for i in range(4)]):
        positions += _sums(_PIXELS, [row[:, :, i : i + width : 2] for i in range(4)])
    return [tf.reshape(x, [-1, fmaps]) for x in positions]


def _images_apart(*maps):
    """As `_images` of 16 maps, followed by height and width."""
    *maps, height, width = maps
    maps = [tf.reshape(x, [-1, height // 2, width // 2, x.shape[-1]]) for x in maps]
    rows = [_sums(_OUTPUTS.T, maps[i : i + 4]) for i in range(0, 16, 4)]
    pixels = [_sums(_OUTPUTS.T, column) for column in zip(*rows, strict=True)]  # [2][2]
    x = tf.stack([tf.stack(column, axis=2) for column in pixels], axis=4)
    return tf.reshape(x, [-1, height, width, x.shape[-1]])


def _sums(matrix, tensors):
    """Sums of tensors by the rows of a matrix."""
    terms = [[c * x for c, x in zip(row, tensors, strict=True) if c] for row in matrix.tolist()]
    return [functools.reduce(operator.add, row) for row in terms]
