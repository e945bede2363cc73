"""CelebA, aligned and cropped: 128x128 around a fixed point, as in the paper's ablations."""

from __future__ import annotations

import argparse
import dataclasses
import glob
import os
from collections.abc import Iterator

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.sources.pictures import FILE_ERRORS
from pgtf.foreign.pictures import open_picture, reason

NUM_IMAGES = 202_599
IMAGE_FOLDER = "img_align_celeba_png"
WIDTH, HEIGHT = 178, 218
CENTER_X, CENTER_Y = 89, 121
RADIUS = 64


def create(
    tfrecord_dir: str,
    celeba_dir: str,
    cx: int = CENTER_X,
    cy: int = CENTER_Y,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_images: int = NUM_IMAGES,
) -> Summary:
    """Creates CelebA at 128x128.

    Args:
        tfrecord_dir: dataset folder to create.
        celeba_dir: folder that contains img_align_celeba_png.
        cx, cy: center of the crop, pixels.
        options: see there.
        num_images: number that the folder must hold.
    """
    if not (RADIUS <= cx <= WIDTH - RADIUS and RADIUS <= cy <= HEIGHT - RADIUS):
        raise ValueError(
            f"`cx` must be {RADIUS} to {WIDTH - RADIUS} and `cy` {RADIUS} to {HEIGHT - RADIUS}, so "
            f"that the crop lies inside the image. Received: cx={cx}, cy={cy}."
        )
    folder = os.path.join(celeba_dir, IMAGE_FOLDER)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{folder}: no such folder.")
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*.png")))
    if len(paths) != num_images:
        raise ValueError(f"{folder}: must hold {num_images} images. Received: {len(paths)}.")
    return export(
        tfrecord_dir,
        items=(paths[i] for i in shuffled(num_images)),
        num_items=num_images,
        load=_Crop(cx, cy),
        shape=(3, 2 * RADIUS, 2 * RADIUS),
        job={"command": "create_celeba", "folder": os.path.abspath(folder), "center": [cx, cy]},
        meta={"mirror": True},
        options=options,
    )


@dataclasses.dataclass(frozen=True)
class _Crop:
    """The `load` of CelebA; items are paths."""

    cx: int
    cy: int

    def __call__(self, paths: list[str]) -> Iterator[np.ndarray | Rejected]:
        for path in paths:
            try:
                yield self._read(path)
            except FILE_ERRORS as error:
                yield Rejected(path, reason(error))

    def _read(self, path: str) -> np.ndarray:
        with open_picture(path) as file:
            if (file.mode, file.size) != ("RGB", (WIDTH, HEIGHT)):
                found = f"{file.mode}, {file.width}x{file.height}"
                raise ValueError(f"must be RGB, {WIDTH}x{HEIGHT}; found {found}")
            image = np.asarray(file)
        rows = slice(self.cy - RADIUS, self.cy + RADIUS)
        return image[rows, self.cx - RADIUS : self.cx + RADIUS].transpose(2, 0, 1)


def add_command(commands: Commands) -> None:
    """Adds create_celeba to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_celeba",
        "CelebA at 128x128.",
        "datasets/celeba ~/celeba",
        _run,
        "celeba_dir",
        f"folder with {IMAGE_FOLDER}",
    )
    help = "center of the crop (default: %(default)s)"
    p.add_argument("--cx", type=int, default=CENTER_X, help=help)
    p.add_argument("--cy", type=int, default=CENTER_Y, help=help)


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.celeba_dir, args.cx, args.cy, options)
