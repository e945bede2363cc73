"""Procedural cartoon faces with known factors: a dataset that needs no download.

A face is a stack of flat shapes, each a signed distance turned into coverage, so that edges are
smooth at any resolution. Image i depends on the seed and i only. Only exactly rounded operations
touch the pixels, so that every machine computes the same bytes.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from pgtf.dataset.commands import Commands, positive
from pgtf.dataset.exporter import Options, Summary, export, random_state
from pgtf.dataset.pyramid import size_of

NUM_IMAGES, RESOLUTION, SEED = 10_000, 32, 0  # defaults of create_demo
BATCH_PIXELS = 1 << 14  # Drawing so many pixels at a time keeps the layers in the cache.

Rgb = tuple[int, int, int]

SKIN: dict[str, Rgb] = {
    "light": (255, 224, 200),
    "tan": (206, 136, 84),
    "dark": (88, 52, 40),
}
HAIR: dict[str, Rgb] = {
    "black": (32, 28, 40),
    "blond": (248, 208, 88),
    "red": (214, 78, 30),
    "blue": (66, 104, 220),
}
BACKGROUND: dict[str, Rgb] = {
    "sky": (150, 206, 246),
    "mint": (164, 226, 178),
    "sand": (250, 228, 160),
    "lilac": (212, 182, 236),
}
SHIRT: dict[str, Rgb] = {
    "white": (244, 244, 248),
    "crimson": (196, 44, 66),
    "green": (46, 138, 92),
    "navy": (42, 58, 120),
}
HAIRSTYLE = ("short", "long")
EYES: dict[str, Rgb] = {
    "brown": (84, 48, 28),
    "blue": (40, 130, 240),
}
MOUTH = ("smile", "open", "straight")
GLASSES = ("none", "dark")

# Name -> values; a label is the concatenation of their one-hot codes.
FACTORS: dict[str, tuple[str, ...]] = {
    "skin": tuple(SKIN),
    "hair": tuple(HAIR),
    "hairstyle": HAIRSTYLE,
    "eyes": tuple(EYES),
    "mouth": MOUTH,
    "glasses": GLASSES,
    "background": tuple(BACKGROUND),
    "shirt": tuple(SHIRT),
}
NUM_POSE = 7  # continuous variations: position (2), size and tilt of the head, gaze, parting, width

INK: Rgb = (40, 34, 48)
LENS: Rgb = (16, 20, 32)
WHITE: Rgb = (255, 255, 255)
BLUSH: Rgb = (238, 96, 96)
LIPS: Rgb = (150, 40, 52)
TONGUE: Rgb = (236, 112, 118)
SHADOW = (0.88, 0.78, 0.74)  # factors of red, green, blue


def sample_faces(num_images: int, seed: int) -> np.ndarray:
    """Samples faces, uniform in [0, 1): float64 [n, D]; row i is the same for any n."""
    return random_state("seed", seed).uniform(size=(num_images, len(FACTORS) + NUM_POSE))


def factor_values(faces: np.ndarray) -> np.ndarray:
    """Value of each factor, independent and uniform: [n, D] -> int64 [n, factors]."""
    sizes = [len(values) for values in FACTORS.values()]
    return (faces[:, : len(FACTORS)] * sizes).astype(np.int64)


def label_matrix(faces: np.ndarray) -> np.ndarray:
    """One-hot codes of all factors: [n, D] -> float32 [n, L]."""
    codes = [np.eye(len(values), dtype=np.float32) for values in FACTORS.values()]
    columns = factor_values(faces).T
    return np.concatenate([code[i] for code, i in zip(codes, columns, strict=True)], axis=1)


def label_names() -> list[str]:
    """Names of the label columns: "skin=light" and so on."""
    return [f"{factor}={value}" for factor, values in FACTORS.items() for value in values]


def draw_faces(faces: np.ndarray, resolution: int) -> np.ndarray:
    """Draws faces: [n, D] from `sample_faces` -> uint8 [n, 3, R, R]."""
    step = max(BATCH_PIXELS // resolution**2, 1)
    starts = range(0, len(faces), step)
    return np.concatenate([_Canvas(faces[i : i + step], resolution).draw() for i in starts])


class _Canvas:
    """Draws a batch of faces, layer by layer from the back."""

    def __init__(self, faces: np.ndarray, resolution: int):
        self._value = dict(zip(FACTORS, factor_values(faces).T, strict=True))
        pose = 2 * faces.T[len(FACTORS) :].astype(np.float32) - 1
        shift_x, shift_y, size, tilt, self._gaze, self._part, self._width = (
            draw[:, np.newaxis, np.newaxis] for draw in pose
        )
        centers = (np.arange(resolution, dtype=np.float32) + 0.5) * (2 / resolution) - 1
        size = 1 + size * 0.03
        # The head's own frame: +-1 is about the height of the picture; y points down.
        x, y = centers - shift_x * 0.04, centers[:, np.newaxis] - shift_y * 0.03 - 0.04
        tilt = tilt * 0.05  # radians; rotation to second order needs no sine
        cosine, sine = 1 - tilt * tilt / 2, tilt
        self._x, self._y = (x * cosine + y * sine) / size, (y * cosine - x * sine) / size
        self._pixel = 2 / resolution / size
        self._height = centers[:, np.newaxis]  # in the picture's frame
        self._image = np.empty((len(self._x), 3, resolution, resolution), np.float32)

    def draw(self) -> np.ndarray:
        """Draws all layers: -> uint8 [n, 3, R, R]."""
        self._background()
        self._long_hair()
        self._body()
        self._head()
        self._front_hair()
        self._eyes()
        self._mouth()
        self._glasses()
        return np.rint(self._image).astype(np.uint8)

    # Shapes: signed distances in the head's frame, negative inside.

    def _ellipse(
        self, x: float | np.ndarray, y: float, a: float, b: float, stretch: float | np.ndarray = 1
    ) -> np.ndarray:
        """Ellipse with center (x, y) and semi-axes (a * stretch, b)."""
        dx, dy = (self._x - x) / (a * stretch), (self._y - y) / b
        distance: np.ndarray = (np.sqrt(dx * dx + dy * dy) - 1) * min(a, b)
        return distance

    def _stroke(self, distance: np.ndarray, width: float) -> np.ndarray:
        """A line along the border of a shape."""
        line: np.ndarray = np.abs(distance) - width / 2
        return line

    def _paint(
        self, distance: np.ndarray, color: Rgb | np.ndarray, opacity: float | np.ndarray = 1
    ) -> None:
        """Paints a color, or one per image [n, 3], over a shape, with an edge of one pixel."""
        cover = np.clip(0.5 - distance / self._pixel, 0, 1) * opacity
        color = np.asarray(color, np.float32).reshape(-1, 3, 1, 1)
        self._image += cover[:, np.newaxis] * (color - self._image)

    def _color(self, factor: str, table: dict[str, Rgb], shade: float = 1) -> np.ndarray:
        colors: np.ndarray = np.array(list(table.values()), np.float32)[self._value[factor]]
        return colors * shade

    def _shadow(self) -> np.ndarray:
        """Shaded skin, warmer than the skin itself."""
        shadow: np.ndarray = self._color("skin", SKIN) * np.array(SHADOW, np.float32)
        return shadow

    def _is(self, factor: str, value: str) -> np.ndarray:
        """Opacity of a layer that only images with this value of a factor have: [n, 1, 1]."""
        shown: np.ndarray = self._value[factor] == FACTORS[factor].index(value)
        return shown[:, np.newaxis, np.newaxis].astype(np.float32)

    # Layers, from the back to the front.

    def _background(self) -> None:
        color = self._color("background", BACKGROUND)[:, :, np.newaxis, np.newaxis]
        light = (1 - self._height) * 0.2
        self._image[...] = color + (255 - color) * light

    def _long_hair(self) -> None:
        shape = np.maximum(self._ellipse(0, 0.16, 0.68, 0.92), self._y - 0.72)
        self._paint(shape, self._color("hair", HAIR, 0.8), self._is("hairstyle", "long"))

    def _body(self) -> None:
        self._paint(self._ellipse(0, 1.16, 0.80, 0.46), self._color("shirt", SHIRT))
        neck = np.maximum(np.abs(self._x) - 0.17, self._y - 0.76)
        neck = np.maximum(np.minimum(neck, self._ellipse(0, 0.74, 0.22, 0.13)), -self._y)
        self._paint(neck, self._shadow())

    def _head(self) -> None:
        for side in (-1, 1):
            self._paint(self._ellipse(side * 0.53, 0.08, 0.11, 0.14), self._shadow())
        face = self._ellipse(0, 0.04, 0.5, 0.6, stretch=1 + 0.05 * self._width)
        self._paint(face - 0.03, self._shadow())
        self._paint(face, self._color("skin", SKIN))
        for side in (-1, 1):
            self._paint(self._ellipse(side * 0.31, 0.24, 0.11, 0.08), BLUSH, 0.2)
        self._paint(self._ellipse(0, 0.17, 0.05, 0.04), self._shadow())

    def _front_hair(self) -> None:
        part = self._part * 0.06
        cap, face = self._ellipse(0, -0.02, 0.6, 0.71), self._ellipse(part, 0.26, 0.46, 0.5)
        ends = 0.06 + 0.44 * self._is("hairstyle", "long")
        hair = np.maximum(np.maximum(cap, -face), self._y - ends)
        self._paint(hair, self._color("hair", HAIR))
        arc = self._stroke(self._ellipse(0, -0.02, 0.46, 0.57), 0.06)
        shine = np.maximum(np.maximum(arc, self._y + 0.34), np.abs(self._x + part) - 0.2)
        self._paint(shine, WHITE, 0.22)

    def _eyes(self) -> None:
        iris = self._color("eyes", EYES)
        for side in (-1, 1):
            x, gaze = side * 0.21, self._gaze * 0.035
            brow = self._stroke(self._ellipse(x, 0.02, 0.17, 0.22), 0.055)
            self._paint(np.maximum(brow, self._y + 0.12), self._color("hair", HAIR, 0.6))
            self._paint(self._ellipse(x, 0.05, 0.125, 0.145), WHITE)
            self._paint(self._ellipse(x + gaze, 0.06, 0.088, 0.088), iris)
            self._paint(self._ellipse(x + gaze - 0.025, 0.03, 0.024, 0.024), WHITE)

    def _mouth(self) -> None:
        smiles, is_open = self._is("mouth", "smile"), self._is("mouth", "open")
        smile = np.maximum(self._ellipse(0, 0.3, 0.21, 0.19), 0.31 - self._y)
        self._paint(smile, LIPS, smiles)
        self._paint(np.maximum(smile + 0.02, self._y - 0.385), WHITE, smiles)  # teeth
        self._paint(self._ellipse(0, 0.4, 0.1, 0.115), LIPS, is_open)
        self._paint(self._ellipse(0, 0.45, 0.065, 0.05), TONGUE, is_open)
        line = np.maximum(np.abs(self._y - 0.39) - 0.03, np.abs(self._x) - 0.14)
        self._paint(line, LIPS, self._is("mouth", "straight"))

    def _glasses(self) -> None:
        worn = self._is("glasses", "dark")
        for side in (-1, 1):
            lens = self._ellipse(side * 0.22, 0.05, 0.185, 0.175)
            self._paint(lens, LENS, 0.7 * worn)
            self._paint(self._stroke(lens, 0.05), INK, worn)
        bar, reach = np.abs(self._y - 0.02) - 0.03, np.abs(self._x)
        bridge = np.maximum(bar, reach - 0.07)
        temples = np.maximum(bar, np.abs(reach - 0.46) - 0.09)
        self._paint(np.minimum(bridge, temples), INK, worn)


@dataclasses.dataclass(frozen=True)
class _Draw:
    """The `load` of demo faces, cut to a size; items are rows of `sample_faces`."""

    size: tuple[int, int]  # height and width

    def __call__(self, items: list[np.ndarray]) -> np.ndarray:
        side = max(self.size)
        top, left = ((side - length) // 2 for length in self.size)
        faces = draw_faces(np.stack(items), side)
        return faces[:, :, top : top + self.size[0], left : left + self.size[1]]


def create(
    tfrecord_dir: str,
    num_images: int = NUM_IMAGES,
    resolution: int = RESOLUTION,
    seed: int = SEED,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset of cartoon faces, labelled with all factors."""
    faces = sample_faces(num_images, seed)
    size = size_of(resolution, options.grid)
    return export(
        tfrecord_dir,
        items=faces,
        num_items=num_images,
        load=_Draw(size),
        shape=(3, *size),
        job={"command": "create_demo", "seed": seed},
        labels=label_matrix(faces),
        label_names=label_names(),
        meta={"mirror": False, "factors": {name: list(values) for name, values in FACTORS.items()}},
        options=options,
    )


def add_command(commands: Commands) -> None:
    """Adds create_demo to the sub-commands of dataset_tool.py."""
    help = "Cartoon faces with known factors; needs no input."
    p = commands.add_create("create_demo", help, "datasets/demo", _run)
    help = "(default: %(default)s)"
    p.add_argument("--num_images", type=positive, default=NUM_IMAGES, help=help)
    p.add_argument("--resolution", type=positive, default=RESOLUTION, help=f"pixels {help}")
    p.add_argument("--seed", type=int, default=SEED, help=help)


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.num_images, args.resolution, args.seed, options)
