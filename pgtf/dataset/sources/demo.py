"""Procedural cartoon faces whose factors are known: the dataset that needs no download.

A face is drawn from signed distances in the square [-1, 1] x [-1, 1], x right and y down, so that
every resolution shows the same faces with smooth edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SKINS = {
    "light": (250, 214, 188),
    "tan": (224, 166, 118),
    "brown": (158, 102, 66),
    "dark": (92, 56, 40),
}
HAIRS = {
    "black": (34, 30, 36),
    "brown": (110, 64, 30),
    "blond": (244, 208, 96),
    "red": (206, 70, 32),
    "blue": (64, 110, 214),
}
EYES = {"brown": (96, 54, 20), "blue": (30, 110, 220), "green": (36, 150, 70)}
BACKGROUNDS = {
    "sky": (158, 208, 246),
    "mint": (168, 232, 190),
    "lilac": (206, 180, 240),
    "peach": (255, 204, 170),
}
HAIRSTYLES = ("short", "long")
MOUTHS = ("smile", "open", "flat")
GLASSES = ("none", "round")

# Every factor with its values: what an image's label says, in this order.
FACTORS: Mapping[str, tuple[str, ...]] = {
    "background": tuple(BACKGROUNDS),
    "skin": tuple(SKINS),
    "hair": tuple(HAIRS),
    "hairstyle": HAIRSTYLES,
    "eyes": tuple(EYES),
    "mouth": MOUTHS,
    "glasses": GLASSES,
}
LABEL_NAMES = tuple(f"{factor}={value}" for factor, values in FACTORS.items() for value in values)
POSES = 5  # shift x, shift y, width, tilt, look: small variations without a label
SEED = 1
CHUNK_IMAGES = 64

WHITE, INK, LIPS = (255, 255, 255), (40, 30, 34), (196, 62, 66)


def faces(num_images: int, resolution: int, seed: int = SEED) -> Iterator[tuple[Array, Array]]:
    """Draws faces in chunks: uint8 [n, 3, R, R] and labels float32 [n, len(LABEL_NAMES)].

    Face i depends on (seed, i) only, so a longer set begins with the shorter one. Labels hold a 1
    for the value of each factor, 0 elsewhere.
    """
    factors, poses = _draw_parameters(num_images, seed)
    for begin in range(0, num_images, CHUNK_IMAGES):
        part = slice(begin, begin + CHUNK_IMAGES)
        yield _render(factors[part], poses[part], resolution), _labels(factors[part])


def _draw_parameters(num_images: int, seed: int) -> tuple[Array, Array]:
    """Factor values int [n, factors] and poses in [-1, 1], float32 [n, POSES]."""
    rng = np.random.Generator(np.random.Philox(seed))
    uniform = rng.random((num_images, len(FACTORS) + POSES))
    sizes = np.array([len(values) for values in FACTORS.values()])
    factors = (uniform[:, : len(FACTORS)] * sizes).astype(np.int64)
    return factors, (uniform[:, len(FACTORS) :] * 2 - 1).astype(np.float32)


def _labels(factors: Array) -> Array:
    columns = [
        np.eye(len(v), dtype=np.float32)[factors[:, i]] for i, v in enumerate(FACTORS.values())
    ]
    return np.concatenate(columns, axis=1)


def _render(factors: Array, poses: Array, resolution: int) -> Array:
    canvas = _Canvas(len(factors), resolution)
    chosen = dict(zip(FACTORS, factors.T, strict=True))
    color = {
        "background": _palette(BACKGROUNDS)[chosen["background"]],
        "skin": _palette(SKINS)[chosen["skin"]],
        "hair": _palette(HAIRS)[chosen["hair"]],
        "eyes": _palette(EYES)[chosen["eyes"]],
    }
    shift_x, shift_y, width, tilt, look = (p[:, np.newaxis, np.newaxis] for p in poses.T)
    canvas.fill(color["background"])
    canvas.place(0.06 * shift_x, 0.06 * shift_y + 0.08, 0.10 * tilt)
    breadth = 0.53 + 0.04 * width
    is_long = chosen["hairstyle"] == HAIRSTYLES.index("long")
    _draw_head(canvas, color, breadth, is_long)
    _draw_eyes(canvas, color, look)
    _draw_mouth(canvas, chosen["mouth"])
    _draw_glasses(canvas, chosen["glasses"] == GLASSES.index("round"))
    return canvas.to_uint8()


def _draw_head(canvas: _Canvas, color: Mapping[str, Array], breadth: Array, is_long: Array) -> None:
    skin, hair, shade = color["skin"], color["hair"], color["skin"] * np.float32(0.82)
    canvas.paint(
        np.maximum(canvas.ellipse(0, 0.25, breadth + 0.20, 0.80), -0.9 - canvas.y), hair, is_long
    )
    canvas.paint(canvas.ellipse(0, 1.22, 0.80, 0.42), color["background"] * np.float32(0.55))
    canvas.paint(canvas.box(0, 0.75, 0.17, 0.22), shade)
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(side * (breadth + 0.02), 0.08, 0.10, 0.14), shade)
    canvas.paint(canvas.ellipse(0, -0.06, breadth + 0.10, 0.74), hair)
    canvas.paint(canvas.ellipse(0, 0.10, breadth, 0.66), skin)
    fringe = np.maximum(canvas.ellipse(0, -0.08, breadth + 0.06, 0.72), canvas.y + 0.22)
    canvas.paint(np.maximum(fringe, -canvas.ellipse(0.15, 0.12, breadth - 0.04, 0.44)), hair)


def _draw_eyes(canvas: _Canvas, color: Mapping[str, Array], look: Array) -> None:
    for side in (-1, 1):
        x = side * 0.24
        canvas.paint(canvas.ellipse(x, 0.02, 0.145, 0.155), WHITE)
        canvas.paint(canvas.ellipse(x + 0.03 * look, 0.03, 0.095, 0.105), color["eyes"])
        canvas.paint(canvas.ellipse(x + 0.03 * look, 0.03, 0.042, 0.048), INK)
    canvas.paint(canvas.ellipse(0, 0.25, 0.055, 0.075), color["skin"] * np.float32(0.78))


def _draw_mouth(canvas: _Canvas, mouth: Array) -> None:
    arc = np.maximum(canvas.ellipse(0, 0.38, 0.25, 0.20), 0.42 - canvas.y)
    shapes = {
        "smile": np.maximum(arc, -canvas.ellipse(0, 0.30, 0.27, 0.18)),
        "open": canvas.ellipse(0, 0.50, 0.12, 0.13),
        "flat": canvas.box(0, 0.50, 0.19, 0.032),
    }
    for index, name in enumerate(MOUTHS):
        canvas.paint(shapes[name], LIPS, mouth == index)


def _draw_glasses(canvas: _Canvas, worn: Array) -> None:
    for side in (-1, 1):
        ring = np.abs(canvas.ellipse(side * 0.25, 0.02, 0.215, 0.215)) - 0.035
        canvas.paint(ring, INK, worn)
        canvas.paint(canvas.box(side * 0.52, -0.02, 0.06, 0.03), INK, worn)
    canvas.paint(canvas.box(0, 0.0, 0.05, 0.03), INK, worn)


class _Canvas:
    """A batch of images in which shapes are painted over each other."""

    def __init__(self, num_images: int, resolution: int) -> None:
        centers = ((np.arange(resolution, dtype=np.float32) + 0.5) / resolution) * 2 - 1
        self._grid_y, self._grid_x = np.meshgrid(centers, centers, indexing="ij")
        self._pixel = np.float32(2 / resolution)
        self._image = np.zeros((num_images, 3, resolution, resolution), np.float32)
        self.x = self.y = np.zeros(0, np.float32)  # coordinates of the face, set by `place`

    def fill(self, color: Array) -> None:
        """A background [n, 3] that is a little lighter at the top."""
        light = 1.06 - 0.12 * (self._grid_y + 1) / 2
        self._image[:] = color[:, :, np.newaxis, np.newaxis] * light

    def place(self, x: Array, y: Array, angle: Array) -> None:
        """Moves and turns the face by [n, 1, 1] each; angles in radians."""
        dx, dy = self._grid_x - x, self._grid_y - y
        self.x = np.cos(angle) * dx + np.sin(angle) * dy
        self.y = np.cos(angle) * dy - np.sin(angle) * dx

    def ellipse(self, x: Array | float, y: float, a: Array | float, b: float) -> Array:
        """About the distance from an ellipse's edge, negative inside: [n, R, R]."""
        radius = np.sqrt(((self.x - x) / a) ** 2 + ((self.y - y) / b) ** 2)
        return (radius - 1) * np.minimum(a, b)

    def box(self, x: float, y: float, half_width: float, half_height: float) -> Array:
        """About the distance from a rectangle's edge, negative inside: [n, R, R]."""
        dx, dy = np.abs(self.x - x) - half_width, np.abs(self.y - y) - half_height
        return np.maximum(dx, dy)

    def paint(self, distance: Array, color: Any, where: Array | None = None) -> None:
        """Covers the inside of a shape with a color [n, 3] or [3], in the images chosen."""
        cover = np.clip(0.5 - distance / self._pixel, 0, 1).astype(np.float32)
        if where is not None:
            cover = cover * where[:, np.newaxis, np.newaxis]
        color = np.asarray(color, np.float32).reshape(-1, 3, 1, 1)
        self._image += cover[:, np.newaxis] * (color - self._image)

    def to_uint8(self) -> Array:
        return np.rint(self._image).clip(0, 255).astype(np.uint8)


def _palette(colors: Mapping[str, tuple[int, int, int]]) -> Array:
    return np.array(list(colors.values()), np.float32)
