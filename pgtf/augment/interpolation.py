"""Linear interpolation of images at any positions, in a form for CPUs and one for all else.

Both give the same values but for rounding. Images have a border of one reflected pixel, so that
all four neighbours of a position exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

# ([N, H + 2, W + 2, C], columns, rows) -> [N, H, W, C]
Interpolate = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


class Neighbours(NamedTuple):
    """The four pixels of a bordered image around each position: all [N, P]."""

    left: tf.Tensor  # int32 column of the two left pixels
    top: tf.Tensor  # int32 row of the two upper pixels
    right_share: tf.Tensor  # weight of the two right pixels, 0 ... 1
    lower_share: tf.Tensor  # weight of the two lower pixels


def neighbours(columns: tf.Tensor, rows: tf.Tensor) -> Neighbours:
    """Finds the pixels around positions [N, H, W] in pixels of the image without border."""
    _, height, width = columns.shape
    x, y = _in_border(columns, width), _in_border(rows, height)
    left, top = tf.floor(x), tf.floor(y)
    found = (tf.cast(left, tf.int32), tf.cast(top, tf.int32), x - left, y - top)
    return Neighbours(*(tf.reshape(values, [-1, height * width]) for values in found))


def gathered(images: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Interpolates by gathering all four neighbours at once."""
    _, height, width = columns.shape
    channels = images.shape[3]
    left, top, *shares = neighbours(columns, rows)
    right, lower = (share[..., None] for share in shares)
    quads = tf.concat(
        [images[:, y : y + height + 1, x : x + width + 1] for y in (0, 1) for x in (0, 1)], axis=3
    )
    quads = tf.reshape(quads, [-1, (height + 1) * (width + 1), 4 * channels])
    both = tf.split(tf.gather(quads, top * (width + 1) + left, batch_dims=1), 4, axis=2)
    above, below = (both[i] + right * (both[i + 1] - both[i]) for i in (0, 2))
    return tf.reshape(above + lower * (below - above), [-1, height, width, channels])


def multiplied(images: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Interpolates by a product with a sparse matrix of four weights per position.

    With three channels it takes a third of the time of `gathered` on a CPU, and its adjoint a
    fifth, because no tensor holds four neighbours per position.
    """
    _, height, width = columns.shape
    channels = images.shape[3]
    left, top, right, lower = neighbours(columns, rows)
    both = right * lower
    weights = (1 - right - (lower - both), right - both, lower - both, both)
    # A pair of int32, position and pixel, is written as one int64: stacking them is slow.
    first = tf.range(tf.shape(images)[0]) * ((height + 2) * (width + 2))
    pixel = top * (width + 2) + (left + first[:, None])
    num_positions = tf.size(pixel)
    pair = tf.cast(tf.reshape(pixel, [-1]), tf.int64) * _UPPER
    pair += tf.range(tf.cast(num_positions, tf.int64))
    pairs = [pair + _UPPER * n for n in (0, 1, width + 2, width + 3)]
    # Rows of positions follow each other, each with four neighbours: these stay in caches.
    pairs, weights = (
        tf.stack([tf.reshape(x, [-1, width]) for x in values], axis=1)
        for values in (pairs, weights)
    )
    indices = tf.reshape(tf.bitcast(pairs, tf.int32), [-1, 2])
    pixels = tf.reshape(images, [-1, channels])
    shape = tf.stack([num_positions, tf.shape(pixels)[0]])
    matrix = (indices, tf.reshape(weights, [-1]), tf.cast(shape, tf.int64))
    return tf.reshape(_product(matrix, pixels, False), [-1, height, width, channels])


_UPPER = 1 << 32  # The upper half of an int64 is the second int32: all CPUs are little-endian.


def _product(matrix: tuple[tf.Tensor, ...], values: tf.Tensor, transposed: bool) -> tf.Tensor:
    """Multiplies a sparse matrix (indices, values, shape), or its transpose, by values [K, C].

    Nothing is differentiated with respect to the matrix.
    """

    @tf.custom_gradient
    def product(values: tf.Tensor) -> tuple[tf.Tensor, Any]:
        indices, weights, shape = matrix
        found = tf.raw_ops.SparseTensorDenseMatMul(
            a_indices=indices, a_values=weights, a_shape=shape, b=values, adjoint_a=transposed
        )
        return found, lambda dy: _product(matrix, dy, not transposed)

    return product(values)


def _in_border(position: tf.Tensor, size: int) -> tf.Tensor:
    """Position in a bordered image, 0.5 to size + 0.5, of an image that repeats mirrored."""
    position += 0.5
    position -= 2.0 * size * tf.floor(position / (2.0 * size))
    return (size + 0.5) - tf.abs(position - size)
