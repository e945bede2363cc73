"""Affine maps of colours, one per image: a matrix [N, C, C] and an offset [N, C].

Luma is the mean of the channels, times sqrt(C).
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ColourMap:
    """Maps a colour c to matrix @ c + offset."""

    matrix: tf.Tensor  # [N, C, C]
    offset: tf.Tensor  # [N, C]

    def then(self, matrix: tf.Tensor, offset: tf.Tensor | float = 0.0) -> ColourMap:
        """Adds another map after this one."""
        moved = tf.linalg.matvec(matrix, self.offset) + offset
        return ColourMap(tf.matmul(matrix, self.matrix), moved)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Maps all pixels: [N, H, W, C] -> same."""
        pixels = tf.reshape(images, [-1, images.shape[1] * images.shape[2], images.shape[3]])
        # The offset is added to whole planes: adding it to each pixel takes longer than the rest.
        planes = tf.matmul(self.matrix, pixels, transpose_b=True) + self.offset[:, :, None]
        return tf.reshape(tf.transpose(planes, [0, 2, 1]), tf.shape(images))


def unchanged(num: int | tf.Tensor, channels: int) -> ColourMap:
    """Maps of `num` images that change nothing."""
    return ColourMap(tf.eye(channels, batch_shape=[num]), tf.zeros([num, channels]))


def scaled(factor: tf.Tensor, channels: int) -> tf.Tensor:
    """Multiplies all channels: [N] -> [N, C, C]."""
    return factor[:, None, None] * tf.eye(channels)


def luma_flipped(flip: tf.Tensor, channels: int) -> tf.Tensor:
    """Turns luma around where flip is 1, not where it is 0: [N] -> [N, C, C]."""
    return tf.eye(channels) - 2 * flip[:, None, None] * _luma(channels)


def saturated(factor: tf.Tensor, channels: int) -> tf.Tensor:
    """Multiplies differences from the mean of the channels: [N] -> [N, C, C]."""
    luma = _luma(channels)
    return luma + factor[:, None, None] * (tf.eye(channels) - luma)


def hue_turned(angle: tf.Tensor) -> tf.Tensor:
    """Turns RGB colours around the gray axis, by an angle in radians: [N] -> [N, 3, 3]."""
    luma = _luma(3)
    cross = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = tf.cos(angle)[:, None, None], tf.sin(angle)[:, None, None]
    return luma + cos * (tf.eye(3) - luma) + sin * cross


def _luma(channels: int) -> tf.Tensor:
    """Projection onto the gray axis: [C, C]."""
    return tf.fill([channels, channels], 1.0 / channels)
