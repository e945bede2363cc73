"""Images under affine maps, continued beyond their edges by reflection.

All functions are linear in the images, and their gradients are the exact adjoints.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.augment import affine, interpolation
from pgtf.augment.interpolation import Interpolate

# Low-pass filter at twice the resolution: a sinc under a Kaiser window. It is symmetric, so that
# reflected images stay reflected; ADA's wavelet (sym6, as long) is not. Cutoff (1 = the highest
# frequency of the image) and window are those for which enlarging and shrinking give an image back
# within 0.3%.
NUM_TAPS = 12
CUTOFF = 1.14
KAISER_BETA = 4.8
# Rows of a filter matrix that are multiplied at a time: only the columns that they use.
BLOCK = 32


def blit(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Moves whole pixels, without filter: [N, H, W, C], maps [N, 3, 3] -> [N, H, W, C].

    The maps must lead from pixels to pixels: flips, quarter turns (of squares) and integer moves.
    """
    _, height, width, channels = images.shape
    x, y = (tf.range(size, dtype=tf.float32) - (size - 1) / 2 for size in (width, height))

    def part(at: tf.Tensor, axis: int) -> tf.Tensor:
        """The part of a pixel's index that depends on its column (axis 0) or row: -> [N, size]."""
        total = tf.constant(0)
        for i, (size, stride) in enumerate(((width, 1), (height, width))):
            factor, offset = maps[:, i, axis, None], maps[:, i, 2, None]
            index = tf.cast(tf.round(factor * at + offset + (size - 1) / 2), tf.int32)
            total += tf.where(tf.abs(factor) > 0.5, _reflected(index, size) * stride, 0)
        return total

    at = part(x, 0)[:, None, :] + part(y, 1)[:, :, None]
    pixels = tf.reshape(images, [-1, height * width, channels])
    return tf.gather(pixels, at, batch_dims=1)


def warp(
    images: tf.Tensor, maps: tf.Tensor, interpolate: Interpolate = interpolation.gathered
) -> tf.Tensor:
    """Resamples under any map: [N, H, W, C], maps [N, 3, 3] -> [N, H, W, C].

    Images are enlarged twofold, interpolated linearly there, and shrunk again, with a low-pass
    filter both times. Karras et al. 2020, App. B.
    """
    _, height, width, _ = images.shape
    large = _columns_filtered(images, bordered(enlarging, width))
    large = _rows_filtered(large, bordered(enlarging, height))
    doubled = maps * tf.constant([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    large = interpolate(large, *affine.positions(doubled, 2 * height, 2 * width))
    return _columns_filtered(_rows_filtered(large, shrinking(height)), shrinking(width))


def warp_some(images: tf.Tensor, maps: tf.Tensor, is_warped: tf.Tensor) -> tf.Tensor:
    """Resamples some of the images, which are selected while the graph runs; others stay.

    Faster on CPUs; XLA cannot compile it.
    """
    where = tf.where(is_warped)
    some, their_maps = (tf.gather(x, where[:, 0]) for x in (images, maps))
    warped = warp(some, their_maps, interpolation.multiplied)
    return tf.tensor_scatter_nd_update(images, where, warped)


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


@functools.cache
def bordered(matrix: Callable[[int], np.ndarray], size: int) -> np.ndarray:
    """Matrix whose result has one more reflected pixel at both ends."""
    return np.pad(matrix(size), [(1, 1), (0, 0)], "symmetric")


def _rows_filtered(images: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """Multiplies columns of pixels by a matrix [I, H]: [N, H, W, C] -> [N, I, W, C]."""

    @tf.custom_gradient
    def filtered(images: tf.Tensor) -> tuple[tf.Tensor, Any]:
        _, height, width, channels = images.shape
        flat = tf.reshape(images, [-1, height, width * channels])
        parts = [tf.matmul(rows, flat[:, used]) for rows, used in _blocks(matrix)]
        found = tf.reshape(tf.concat(parts, axis=1), [-1, len(matrix), width, channels])
        return found, lambda dy: _rows_filtered(dy, matrix.T)

    return filtered(images)


def _columns_filtered(images: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """Multiplies rows of pixels by a matrix [J, W]: [N, H, W, C] -> [N, H, J, C]."""

    @tf.custom_gradient
    def filtered(images: tf.Tensor) -> tuple[tf.Tensor, Any]:
        _, height, width, channels = images.shape
        flat = tf.reshape(tf.transpose(images, [0, 1, 3, 2]), [-1, width])
        parts = [tf.matmul(flat[:, used], rows.T) for rows, used in _blocks(matrix)]
        found = tf.reshape(tf.concat(parts, axis=1), [-1, height, channels, len(matrix)])
        return tf.transpose(found, [0, 1, 3, 2]), lambda dy: _columns_filtered(dy, matrix.T)

    return filtered(images)


def _blocks(matrix: np.ndarray) -> Iterator[tuple[np.ndarray, slice]]:
    """Yields blocks of rows without the zeros to both sides, and the columns that they use."""
    for start in range(0, len(matrix), BLOCK):
        rows = matrix[start : start + BLOCK]
        used = np.flatnonzero(rows.any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        yield rows[:, columns], columns


def _reflected(index: tf.Tensor | int, size: int) -> tf.Tensor | int:
    """Index in an image that repeats mirrored: ... 1 0 | 0 1 ... size - 1 | size - 1 ..."""
    index = index % (2 * size)
    if isinstance(index, int):
        return min(index, 2 * size - 1 - index)
    return tf.minimum(index, 2 * size - 1 - index)
