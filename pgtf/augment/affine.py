"""Affine maps of pixel positions, one per image, as [N, 3, 3] matrices.

They map positions in the result to positions in the image, in pixels from its centre: x to the
right, y down. Maps of operations that follow each other are multiplied from left to right, in the
order of the operations.
"""

from __future__ import annotations

import math

import tensorflow as tf


def identity(num: int | tf.Tensor) -> tf.Tensor:
    """Maps that move nothing: -> [num, 3, 3]."""
    return tf.eye(3, batch_shape=[num])


def scaled(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Magnifies by x and y, negative = flips: two [N] -> [N, 3, 3]."""
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    return _rows([1 / x, zero, zero], [zero, 1 / y, zero], [zero, zero, one])


def rotated(angle: tf.Tensor) -> tf.Tensor:
    """Turns clockwise by an angle in radians: [N] -> [N, 3, 3]."""
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _rows([cos, sin, zero], [-sin, cos, zero], [zero, zero, one])


def turned(quarters: tf.Tensor) -> tf.Tensor:
    """Turns clockwise by 0 ... 3 quarter turns, without rounding: [N] float -> [N, 3, 3]."""
    zero, one = tf.zeros_like(quarters), tf.ones_like(quarters)
    cos, sin = (tf.round(f(quarters * (math.pi / 2))) for f in (tf.cos, tf.sin))
    return _rows([cos, sin, zero], [-sin, cos, zero], [zero, zero, one])


def moved(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Moves by x and y pixels: two [N] -> [N, 3, 3]."""
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    return _rows([one, zero, -x], [zero, one, -y], [zero, zero, one])


def positions(maps: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Column and row in the image of each pixel of the result: [N, 3, 3] -> two [N, H, W].

    Columns are counted from 0 at the centre of the first pixel; they may lie outside of the image.
    """
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    x = tf.range(width, dtype=tf.float32) - centre_x
    y = tf.range(height, dtype=tf.float32) - centre_y

    def position(i: int, centre: float) -> tf.Tensor:
        """The sum of a part that varies along rows, and one along columns with all constants."""
        along_x = maps[:, i, 0, None] * x
        along_y = maps[:, i, 1, None] * y + (maps[:, i, 2, None] + centre)
        return along_x[:, None, :] + along_y[:, :, None]

    return position(0, centre_x), position(1, centre_y)


def _rows(*rows: list[tf.Tensor]) -> tf.Tensor:
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
