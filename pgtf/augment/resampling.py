"""Images under affine maps, continued beyond their edges by reflection.

Both functions are linear in the images, and TensorFlow differentiates them exactly: gathering
pixels becomes adding them up, and a matrix becomes its transpose.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from pgtf.augment import affine

# Low-pass filter at twice the resolution: a sinc under a Kaiser window. It is symmetric, so that
# reflected images stay reflected; ADA's wavelet (sym6, as long) is not. Cutoff (1 = the highest
# frequency of the image) and window are those for which enlarging and shrinking give an image back
# within 0.3%.
NUM_TAPS = 12
CUTOFF = 1.14
KAISER_BETA = 4.8


def blit(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Moves whole pixels, without filter: [N, H, W, C], maps [N, 3, 3] -> [N, H, W, C].

    The maps must lead from pixels to pixels: flips, quarter turns (of squares) and integer moves.
    """
    _, height, width, _ = images.shape
    columns, rows = affine.positions(maps, height, width)
    return _gather(images, *(tf.cast(tf.round(x), tf.int32) for x in (columns, rows)))


def warp(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Resamples under any map: [N, H, W, C], maps [N, 3, 3] -> [N, H, W, C].

    Images are enlarged twofold, interpolated linearly there, and shrunk again, with a low-pass
    filter both times. Karras et al. 2020, App. B.
    """
    _, height, width, _ = images.shape
    large = _filtered(images, enlarging(height), enlarging(width))
    doubled = maps * tf.constant([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    large = _interpolated(large, *affine.positions(doubled, 2 * height, 2 * width))
    return _filtered(large, shrinking(height), shrinking(width))


@functools.cache
def enlarging(size: int) -> np.ndarray:
    """Matrix that enlarges twofold along one axis: [2 * size, size] float32."""
    matrix = np.zeros([2 * size, size])
    for i in range(2 * size):
        for tap in range(NUM_TAPS):
            # Pixel k lies between rows 2 k and 2 k + 1, and tap t reaches t - 5.5 rows further.
            row = i - NUM_TAPS // 2 + tap
            if row % 2 == 0:
                matrix[i, _reflected(row // 2, size)] += 2 * low_pass()[tap]
    return matrix.astype(np.float32)


@functools.cache
def shrinking(size: int) -> np.ndarray:
    """Matrix that shrinks to `size` from twice of it along one axis: [size, 2 * size] float32."""
    matrix = np.zeros([size, 2 * size])
    for i in range(size):
        for tap in range(NUM_TAPS):
            matrix[i, _reflected(2 * i - NUM_TAPS // 2 + 1 + tap, 2 * size)] += low_pass()[tap]
    return matrix.astype(np.float32)


@functools.cache
def low_pass() -> np.ndarray:
    """The filter: float64 [NUM_TAPS], sum 1; its even and odd taps have equal sums."""
    at = np.arange(NUM_TAPS) - (NUM_TAPS - 1) / 2
    taps = np.sinc(CUTOFF * at / 2) * np.kaiser(NUM_TAPS, KAISER_BETA)
    return taps / taps.sum()


def _filtered(images: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Multiplies both axes by a matrix: [N, H, W, C] -> [N, rows, columns, C]."""
    images = tf.einsum("ih,nhwc->niwc", rows, images)
    return tf.einsum("jw,niwc->nijc", columns, images)


def _interpolated(images: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Interpolates linearly at positions [N, H * W]: [N, H, W, C] -> same."""
    _, height, width, channels = images.shape
    columns, rows = _reflected_position(columns, width), _reflected_position(rows, height)
    left, top = tf.floor(columns), tf.floor(rows)
    right_share, lower_share = (columns - left)[..., None], (rows - top)[..., None]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")  # positions from -1 on
    quads = tf.concat(
        [padded[:, y : y + height + 1, x : x + width + 1] for y in (0, 1) for x in (0, 1)], axis=3
    )
    quads = tf.reshape(quads, [-1, (height + 1) * (width + 1), 4 * channels])
    at = tf.cast((top + 1) * (width + 1) + (left + 1), tf.int32)
    both = tf.split(tf.gather(quads, at, batch_dims=1), 4, axis=2)
    upper, lower = (both[i] + right_share * (both[i + 1] - both[i]) for i in (0, 2))
    return tf.reshape(upper + lower_share * (lower - upper), [-1, height, width, channels])


def _reflected_position(position: tf.Tensor, size: int) -> tf.Tensor:
    """Position between pixels, -0.5 to size - 0.5, of an image that repeats mirrored."""
    position = tf.math.floormod(position + 0.5, 2.0 * size)
    return tf.minimum(position, 2.0 * size - position) - 0.5


def _gather(images: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Pixels at int32 [N, H * W] columns and rows, which may lie outside: -> [N, H, W, C]."""
    _, height, width, channels = images.shape
    at = _reflected(rows, height) * width + _reflected(columns, width)
    pixels = tf.reshape(images, [-1, height * width, channels])
    return tf.reshape(tf.gather(pixels, at, batch_dims=1), [-1, height, width, channels])


def _reflected(index: tf.Tensor | int, size: int) -> tf.Tensor | int:
    """Index in an image that repeats mirrored: ... 1 0 | 0 1 ... size - 1 | size - 1 ..."""
    index = index % (2 * size)
    if isinstance(index, int):
        return min(index, 2 * size - 1 - index)
    return tf.minimum(index, 2 * size - 1 - index)
