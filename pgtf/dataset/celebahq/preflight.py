"""Checks of the inputs that take less than a minute, made before hours of work."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pgtf.dataset import tfrecords
from pgtf.dataset.celebahq import deltas
from pgtf.dataset.celebahq.align import md5
from pgtf.dataset.celebahq.inputs import (
    IMAGE_FOLDER,
    LIST_FILE,
    Row,
    read_image_list,
    read_landmarks,
)
from pgtf.dataset.celebahq.jpeg import decode
from pgtf.dataset.celebahq.maker import MAX_JPEG, SKIP, Item, Maker
from pgtf.foreign.files import read_bytes
from pgtf.foreign.messages import plain
from pgtf.grids import MIN_RESOLUTION_LOG2

FIRST_JPEG = "000001.jpg"
PNG_BYTES = 3 << 19  # typical size of a 1024x1024 photograph
MAX_TIMED = 5  # images made to measure the time per image
CELEBA_HINT = "CelebA's in-the-wild images, img_celeba.7z, unpacked"

Check = Literal["quick", "full"]


@dataclasses.dataclass(frozen=True)
class Preflight:
    """The inputs, and the problems found in them."""

    rows: list[Row]
    landmarks: np.ndarray  # float32 [images of CelebA, 5, 2]
    problems: list[str]  # one line each

    def refuse_problems(self) -> None:
        """Raises ValueError with the first problem, if there are any."""
        if self.problems:
            first, *others = self.problems
            noun = "problem" if len(others) == 1 else "problems"
            more = f" ({len(others)} more {noun})" if others else ""
            raise ValueError(f"{first}{more}. {SKIP}")


def check_inputs(
    celeba_dir: str,
    delta_dir: str,
    *,
    num_images: int,
    num_zips: int,
    first_jpeg_md5: str | None,
    check: Check = "quick",
) -> Preflight:
    """Checks both folders.

    Args:
        celeba_dir: folder with img_celeba and Anno.
        delta_dir: folder with image_list.txt and the archives.
        num_images: number of JPEG files and rows of landmarks to expect.
        num_zips: number of archives to expect.
        first_jpeg_md5: MD5 of the decoded 000001.jpg in H, W, C order; None = not checked.
        check: "full" also compares the checksums of all deltas, which takes minutes.

    Raises:
        ValueError: a table cannot be used.
        OSError: a folder or table cannot be read.
    """
    rows = read_image_list(delta_dir)
    names, landmarks = read_landmarks(celeba_dir, num_images)
    for row in rows:
        if not 0 <= row.orig_idx < len(names):
            raise ValueError(
                f"{delta_dir}/{LIST_FILE}, idx {row.idx}: there are no landmarks {row.orig_idx}. "
                "Download it again."
            )
    problems = [
        *_check_landmark_names(rows, names),
        *_check_photographs(celeba_dir, rows, num_images),
        *_check_first_jpeg(celeba_dir, first_jpeg_md5),
        *_check_archives(delta_dir, rows, num_zips, check == "full"),
    ]
    return Preflight(rows, landmarks, problems)


def _check_landmark_names(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    for row in rows:
        if names[row.orig_idx] != row.orig_file:
            return [
                f"{LIST_FILE}, idx {row.idx}: landmarks {row.orig_idx} must belong to "
                f"{row.orig_file}, but they belong to {plain(names[row.orig_idx])}"
            ]
    return []


def _check_photographs(celeba_dir: str, rows: Sequence[Row], num_images: int) -> list[str]:
    folder = os.path.join(celeba_dir, IMAGE_FOLDER)
    found = {name for name in os.listdir(folder) if name.endswith(".jpg")}
    problems = []
    if len(found) != num_images:
        problems.append(
            f"{folder} must hold {num_images} JPEG files ({CELEBA_HINT}), but it holds {len(found)}"
        )
    missing = [row.orig_file for row in rows if row.orig_file not in found]
    if missing:
        problems.append(f"{folder} lacks {len(missing)} of the files needed, {missing[0]} first")
    return problems


def _check_first_jpeg(celeba_dir: str, first_jpeg_md5: str | None) -> list[str]:
    path = os.path.join(celeba_dir, IMAGE_FOLDER, FIRST_JPEG)
    if first_jpeg_md5 is None or not os.path.exists(path):
        return []
    try:
        image = decode(read_bytes(path, MAX_JPEG))
    except ValueError as error:
        return [f"{path}: {error}"]
    digest = md5(image.transpose(1, 2, 0))
    if digest == first_jpeg_md5:
        return []
    return [
        f"{path} must be the original file ({CELEBA_HINT}): its pixels must have the MD5 "
        f"{first_jpeg_md5}, but they have {digest}"
    ]


def _check_archives(delta_dir: str, rows: Sequence[Row], num_zips: int, full: bool) -> list[str]:
    found = sorted(
        name for name in os.listdir(delta_dir) if name.startswith("delta") and name.endswith(".zip")
    )
    problems = []
    if len(found) != num_zips:
        problems.append(
            f"{delta_dir} must hold {num_zips} files delta*.zip, but it holds {len(found)}"
        )
    needed: dict[str, list[str]] = {}
    for row in rows:
        needed.setdefault(deltas.zip_name(row.idx), []).append(deltas.entry_name(row.idx))
    for name in sorted({*found, *needed}):
        path = os.path.join(delta_dir, name)
        if name not in found:
            problems.append(f"{path} is missing")
        elif problem := deltas.check_archive(path, needed.get(name, []), full):
            problems.append(f"{delta_dir}: {problem}")
    return problems


def disk_space(num_images: int, resolution: int, folder: str) -> tuple[int, int]:
    """Bytes that the records need, and free bytes on the disk of `folder`, which may not exist."""
    log2s = range(MIN_RESOLUTION_LOG2, resolution.bit_length())
    per_image = sum(tfrecords.layout((3, 1 << log2, 1 << log2)).record_size for log2 in log2s)
    return num_images * per_image, shutil.disk_usage(_existing(folder)).free


def pictures_space(num_images: int, images_dir: str, folder: str) -> tuple[int, int, bool]:
    """Bytes that PNG files need, free bytes on their disk, and True if `folder` is on it too."""
    places = _existing(images_dir), _existing(folder)
    is_shared = os.stat(places[0]).st_dev == os.stat(places[1]).st_dev
    return num_images * PNG_BYTES, shutil.disk_usage(places[0]).free, is_shared


def _existing(folder: str) -> str:
    """The folder, or the nearest folder above it that exists."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def seconds_per_image(maker: Maker, preflight: Preflight) -> float:
    """CPU time per image, measured on a few images, even if they cannot be made."""
    count = min(MAX_TIMED, max(len(preflight.rows) // 10, 1))
    chosen = preflight.rows[:: max(len(preflight.rows) // count, 1)][:count]
    start = time.process_time()
    for row in chosen:
        maker.make(Item(row, preflight.landmarks[row.orig_idx]))
    return (time.process_time() - start) / len(chosen)
