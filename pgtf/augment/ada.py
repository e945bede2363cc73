"""ADA's flips, geometry and colour, each with probability p. Karras et al. 2020, App. B."""

from __future__ import annotations

import math
from typing import ClassVar

import tensorflow as tf

from pgtf.augment import affine, colour, resampling
from pgtf.augment.draws import Draws

LEAST_SIDE = 16  # Smaller images are flipped, turned and coloured only.
# Spread of the operations. Karras et al. 2020, App. B; "octaves" are powers of 2.
MOST_SHIFT = 1 / 8  # of the side
SHIFT_DEVIATION = 1 / 8  # of the side
SCALE_OCTAVES = 0.2
BRIGHTNESS_DEVIATION = 0.2  # of [-1, 1]
CONTRAST_OCTAVES = 0.5
SATURATION_OCTAVES = 1.0


class AdaDraws(Draws):
    """Random numbers of `augment`: if an operation applies, and how."""

    operations: ClassVar = (
        *("flip", "turn", "shift", "scale", "rotate", "stretch", "rotate_again", "move"),
        *("brightness", "contrast", "luma", "hue", "saturation"),
    )
    uniform_names: ClassVar = (
        *(f"if_{name}" for name in operations),
        *("flip", "turn", "shift_x", "shift_y", "rotate", "rotate_again", "luma", "hue"),
    )
    normal_names: ClassVar = (
        *("scale", "stretch", "move_x", "move_y", "brightness", "contrast", "saturation"),
    )

    def applies(self, operation: str, p: tf.Tensor | float) -> tf.Tensor:
        """1 where an operation of probability p applies, else 0: -> [N]."""
        return tf.cast(self.uniform(f"if_{operation}") < p, tf.float32)


def augment(
    images: tf.Tensor, draws: AdaDraws, p: tf.Tensor | float, by_selection: bool = False
) -> tf.Tensor:
    """Augments images [N, H, W, C] in about [-1, 1]; those that no operation hits stay.

    Args:
        images: of any size and number of channels. Only squares take quarter turns, others half
            turns. Below 16 pixels nothing is moved or resampled.
        draws: random numbers, one row per image.
        p: [] probability of each operation.
        by_selection: use the form for CPUs, which XLA cannot compile: same values but for rounding.
    """
    _, height, width, channels = images.shape
    images = resampling.blit(images, _pixel_maps(images, draws, p))
    if min(height, width) >= LEAST_SIDE:
        maps, is_hit = _geometric_maps(images, draws, p)
        if by_selection:
            images = resampling.warp_some(images, maps, is_hit)
        else:
            warped = resampling.warp(images, maps)
            images = tf.where(is_hit[:, None, None, None], warped, images)
    return _colours(draws, p, channels)(images)


def _pixel_maps(images: tf.Tensor, draws: AdaDraws, p: tf.Tensor | float) -> tf.Tensor:
    """Flips, turns and integer moves: -> [N, 3, 3]."""
    _, height, width, _ = images.shape
    one = tf.ones_like(draws.uniforms[:, 0])
    flip = draws.applies("flip", p) * tf.floor(draws.uniform("flip", 0, 2))
    step = 1 if height == width else 2  # quarter turns
    quarters = step * tf.floor(draws.uniform("turn", 0, 4 // step))
    maps = affine.scaled(1 - 2 * flip, one) @ affine.turned(draws.applies("turn", p) * quarters)
    if min(height, width) < LEAST_SIDE:
        return maps
    is_shifted = draws.applies("shift", p)
    x, y = (
        is_shifted * tf.round(size * draws.uniform(name, -MOST_SHIFT, MOST_SHIFT))
        for name, size in (("shift_x", width), ("shift_y", height))
    )
    return maps @ affine.moved(x, y)


def _geometric_maps(
    images: tf.Tensor, draws: AdaDraws, p: tf.Tensor | float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale, rotation, stretch, rotation and fractional moves: -> [N, 3, 3], [N] if any applies."""
    _, height, width, _ = images.shape
    # Both rotations together apply with probability p.
    p_rotate = 1 - tf.sqrt(1 - tf.cast(p, tf.float32))
    chances = {"scale": p, "rotate": p_rotate, "stretch": p, "rotate_again": p_rotate, "move": p}
    hits = {name: draws.applies(name, chance) for name, chance in chances.items()}
    scale, stretch = (
        tf.pow(2.0, hits[name] * draws.normal(name, SCALE_OCTAVES)) for name in ("scale", "stretch")
    )
    angle, angle_again = (
        hits[name] * draws.uniform(name, -math.pi, math.pi) for name in ("rotate", "rotate_again")
    )
    x, y = (
        hits["move"] * draws.normal(name, SHIFT_DEVIATION * size)
        for name, size in (("move_x", width), ("move_y", height))
    )
    maps = affine.scaled(scale, scale) @ affine.rotated(angle)
    maps = maps @ affine.scaled(stretch, 1 / stretch) @ affine.rotated(angle_again)
    return maps @ affine.moved(x, y), tf.add_n(list(hits.values())) > 0


def _colours(draws: AdaDraws, p: tf.Tensor | float, channels: int) -> colour.ColourMap:
    """Brightness and contrast of all channels; luma of gray and RGB; hue and saturation of RGB."""
    brightness = draws.applies("brightness", p) * draws.normal("brightness", BRIGHTNESS_DEVIATION)
    contrast = draws.applies("contrast", p) * draws.normal("contrast", CONTRAST_OCTAVES)
    maps = colour.unchanged(tf.shape(brightness)[0], channels)
    maps = maps.then(tf.eye(channels), brightness[:, None])
    maps = maps.then(colour.scaled(tf.pow(2.0, contrast), channels))
    if channels in (1, 3):
        flip = draws.applies("luma", p) * tf.floor(draws.uniform("luma", 0, 2))
        maps = maps.then(colour.luma_flipped(flip, channels))
    if channels == 3:
        angle = draws.applies("hue", p) * draws.uniform("hue", -math.pi, math.pi)
        octaves = draws.applies("saturation", p) * draws.normal("saturation", SATURATION_OCTAVES)
        maps = maps.then(colour.hue_turned(angle))
        maps = maps.then(colour.saturated(tf.pow(2.0, octaves), channels))
    return maps
