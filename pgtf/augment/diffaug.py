"""DiffAugment: brightness, saturation, contrast, translation and cutout. Zhao et al. 2020."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from pgtf.augment.ada import LEAST_SIDE
from pgtf.augment.draws import Draws

MOST_SHIFT = 1 / 8  # of the side
CUTOUT_SHARE = 1 / 2  # of the side


class DiffAugDraws(Draws):
    """Random numbers of `augment`."""

    uniform_names: ClassVar = (
        *("brightness", "saturation", "contrast", "shift_x", "shift_y", "cut_x", "cut_y"),
    )


def augment(images: tf.Tensor, draws: DiffAugDraws) -> tf.Tensor:
    """Augments all images [N, H, W, C] in about [-1, 1], H and W at least 2.

    Images below 16 pixels are neither moved nor cut; only RGB has saturation.
    """
    _, height, width, channels = images.shape
    images += _per_image(draws.uniform("brightness", -0.5, 0.5))
    if channels == 3:
        gray = tf.reduce_mean(images, axis=3, keepdims=True)
        images = gray + (images - gray) * _per_image(draws.uniform("saturation", 0, 2))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (images - mean) * _per_image(draws.uniform("contrast", 0.5, 1.5))
    if min(height, width) < LEAST_SIDE:
        return images
    return images_cut(images_moved(images, draws), draws)


def images_moved(images: tf.Tensor, draws: DiffAugDraws) -> tf.Tensor:
    """Moves images by whole pixels, up to an eighth of the side; zeros come in."""
    _, height, width, channels = images.shape
    x, y = (
        tf.cast(tf.floor(draws.uniform(name, -most, most + 1)), tf.int32)
        for name, most in (
            ("shift_x", int(width * MOST_SHIFT + 0.5)),
            ("shift_y", int(height * MOST_SHIFT + 0.5)),
        )
    )
    rows, columns = tf.range(height)[None] - y[:, None], tf.range(width)[None] - x[:, None]
    at = tf.clip_by_value(rows, 0, height - 1)[:, :, None] * width
    at += tf.clip_by_value(columns, 0, width - 1)[:, None, :]
    pixels = tf.reshape(images, [-1, height * width, channels])
    moved = tf.gather(pixels, tf.reshape(at, [-1, height * width]), batch_dims=1)
    is_inside = _is_in(rows, 0, height)[:, :, None] & _is_in(columns, 0, width)[:, None, :]
    moved = tf.reshape(moved, [-1, height, width, channels])
    return tf.where(is_inside[..., None], moved, tf.zeros_like(moved))


def images_cut(images: tf.Tensor, draws: DiffAugDraws) -> tf.Tensor:
    """Sets a box of half the side to 0; its centre is any pixel, so it may hang over the edge."""
    _, height, width, _ = images.shape

    def is_cut(name: str, size: int) -> tf.Tensor:
        length = int(size * CUTOUT_SHARE + 0.5)
        centre = tf.floor(draws.uniform(name, 0, size + (1 - length % 2)))[:, None]
        at = tf.range(size, dtype=tf.float32)[None] - (centre - length // 2)
        return _is_in(at, 0, length)

    is_box = is_cut("cut_y", height)[:, :, None] & is_cut("cut_x", width)[:, None, :]
    return tf.where(is_box[..., None], tf.zeros_like(images), images)


def _is_in(values: tf.Tensor, low: int, end: int) -> tf.Tensor:
    return (values >= low) & (values < end)


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return values[:, None, None, None]
