"""CelebA, aligned and cropped: 128x128 around a fixed point, as in the paper's ablations."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from absl import logging

from pgtf.dataset.absence import is_hidden
from pgtf.dataset.celebahq.inputs import read_all_attributes
from pgtf.dataset.commands import Commands
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.files import entries
from pgtf.foreign import zips
from pgtf.foreign.pictures import open_picture

NUM_IMAGES = 202_599
PNG_FOLDER, JPEG_FOLDER = "img_align_celeba_png", "img_align_celeba"
# Places of the images below the folder, as the archives of CelebA and Kaggle unpack them; "" = the
# folder itself.
PLACES = ("", "Img", "img_align_celeba", "Img/img_align_celeba")
TABLES = [
    os.path.join(folder, f"list_attr_celeba{ending}")
    for folder in ("Anno", "", "..", "../Anno", "../../Anno")
    for ending in (".txt", ".csv")
]
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
    labels: Literal["none", "attributes"] = "none",
) -> Summary:
    """Creates CelebA at 128x128.

    Args:
        tfrecord_dir: dataset folder to create.
        celeba_dir: folder that contains img_align_celeba_png or img_align_celeba, or a .zip file of
            one of them; or one of these itself.
        cx, cy: center of the crop, pixels.
        options: see there.
        num_images: number that the folder must hold.
        labels: "attributes" = CelebA's 40 attributes, from list_attr_celeba.txt or .csv.
    """
    if not (RADIUS <= cx <= WIDTH - RADIUS and RADIUS <= cy <= HEIGHT - RADIUS):
        raise ValueError(
            f"`cx` must be {RADIUS} to {WIDTH - RADIUS} and `cy` {RADIUS} to {HEIGHT - RADIUS}, so "
            f"that the crop lies inside the image. Received: cx={cx}, cy={cy}."
        )
    folder, paths = _find(celeba_dir)
    if len(paths) != num_images:
        raise ValueError(f"{folder}: must hold {num_images} images. Received: {len(paths)}.")
    if paths[0].endswith(".jpg"):
        logging.warning(
            "%s holds JPEG files: pixels differ from those of the original release, which reads "
            "%s.",
            folder,
            PNG_FOLDER,
        )
    attributes, matrix = _attributes(celeba_dir, paths) if labels == "attributes" else ([], None)
    order = shuffled(num_images)
    job = {"command": "create_celeba", "folder": os.path.abspath(folder), "center": [cx, cy]}
    return export(
        tfrecord_dir,
        items=(paths[i] for i in order),
        num_items=num_images,
        load=_Crop(cx, cy),
        shape=(3, 2 * RADIUS, 2 * RADIUS),
        job=job | ({} if matrix is None else {"labels": labels}),
        labels=None if matrix is None else matrix[order],
        label_names=attributes,
        meta={"mirror": True},
        options=options,
    )


def _find(celeba_dir: str) -> tuple[str, list[str]]:
    """Finds the folder or archive of images. Returns it, and the sorted paths of the images."""
    is_folder = os.path.isdir(celeba_dir)
    places = [os.path.join(celeba_dir, place) if place else celeba_dir for place in PLACES]
    for name, ending in ((PNG_FOLDER, ".png"), (JPEG_FOLDER, ".jpg")):
        for place in places if is_folder else []:
            folder = os.path.join(place, name)
            for found in (folder, f"{folder}.zip"):
                if paths := _images(found, ending):
                    return found, paths
        if paths := _images(celeba_dir, ending):
            return celeba_dir, paths
    raise FileNotFoundError(
        f"{os.path.join(celeba_dir, PNG_FOLDER)}: no such folder of PNG files, nor {JPEG_FOLDER} "
        "of JPEG files, nor a .zip file of one of them."
    )


def _images(folder: str, ending: str) -> list[str]:
    """Sorted paths of the images directly in a folder, or in an archive."""
    if zips.is_zip(folder):
        names = zips.member_names(folder)
    else:
        names = [entry.name for entry in entries(folder) if entry.is_file()]
    shown = [name for name in names if not any(map(is_hidden, name.split("/")))]
    kept = [name for name in shown if name.endswith(ending) and not name.startswith("__MACOSX/")]
    return sorted(os.path.join(folder, name) for name in kept)


def _attributes(celeba_dir: str, paths: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Names of the attributes, and 1 or 0 for each attribute of each image."""
    above = os.path.dirname(celeba_dir) if zips.is_zip(celeba_dir) else celeba_dir
    tables = [os.path.normpath(os.path.join(above, name)) for name in TABLES]
    table = next(filter(os.path.isfile, tables), None)
    if table is None:
        raise FileNotFoundError(
            f"{celeba_dir}: must contain {TABLES[0]} for --labels=attributes, or the .csv file of "
            "the same name that Kaggle has."
        )
    attributes, files, values = read_all_attributes(table, len(paths))
    rows = {os.path.splitext(file)[0]: row for row, file in enumerate(files)}
    names = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    if missing := [name for name in names if name not in rows]:
        raise ValueError(f"{table}: must have a row for {missing[0]}.jpg. Download it again.")
    return attributes, values[[rows[name] for name in names]]


@dataclasses.dataclass(frozen=True)
class _Crop:
    """The `load` of CelebA; items are paths."""

    cx: int
    cy: int

    def __call__(self, paths: list[str]) -> Iterator[np.ndarray | Rejected]:
        for path in paths:
            yield read_or_reject(path, functools.partial(self._read, path))

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
        f"folder with {PNG_FOLDER}, or with {JPEG_FOLDER} as JPEG files, or .zip files of them",
    )
    help = "center of the crop (default: %(default)s)"
    p.add_argument("--cx", type=int, default=CENTER_X, help=help)
    p.add_argument("--cy", type=int, default=CENTER_Y, help=help)
    p.add_argument(
        "--labels",
        choices=("none", "attributes"),
        default="none",
        help="attributes: label each image with CelebA's 40 attributes, which are read from "
        "Anno/list_attr_celeba.txt, or the .csv file of Kaggle (default: %(default)s)",
    )


def _run(args: argparse.Namespace, options: Options) -> Summary:
    places = args.tfrecord_dir, args.celeba_dir
    return create(*places, args.cx, args.cy, options, labels=args.labels)
