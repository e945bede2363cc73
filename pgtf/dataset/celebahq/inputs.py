"""The tables of CelebA and of the deltas: section 1 of docs/celebahq.md."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

import numpy as np

from pgtf.dataset.sources.tables import parse_table
from pgtf.foreign.files import read_bytes
from pgtf.foreign.messages import plain, shown

IMAGE_FOLDER = "img_celeba"
LANDMARK_FILE = os.path.join("Anno", "list_landmarks_celeba.txt")
ATTRIBUTE_FILE = os.path.join("Anno", "list_attr_celeba.txt")
LIST_FILE = "image_list.txt"
MAX_BYTES = 1 << 28  # of a table; those of CelebA have tens of megabytes
NUM_COORDINATES = 10  # x and y of five landmarks
COLUMNS = ("idx", "orig_idx", "orig_file", "proc_md5", "final_md5")
FILE_NAME = re.compile(r"[\w-]{1,60}\.jpg")
MD5 = re.compile(r"[0-9a-f]{32}")


@dataclasses.dataclass(frozen=True)
class Row:
    """One image of CelebA-HQ: a row of image_list.txt."""

    idx: int
    orig_idx: int  # row of the landmark table
    orig_file: str  # name in img_celeba
    proc_md5: str  # MD5 of the aligned image
    final_md5: str  # MD5 of the finished image


def read_image_list(delta_dir: str) -> list[Row]:
    """Reads image_list.txt; row number = idx.

    Raises:
        ValueError: the table is not as published.
        OSError: the table cannot be read.
    """
    path = os.path.join(delta_dir, LIST_FILE)
    header, *lines = _read_lines(path) or [""]
    names = header.split()
    if missing := [name for name in COLUMNS if name not in names]:
        raise ValueError(
            f"{path} line 1: must name the columns {', '.join(COLUMNS)}. "
            f"Received: {header[:80]!r}, without {', '.join(missing)}. Download it again."
        )
    rows = []
    for number, line in enumerate(lines):
        values = dict(zip(names, line.split(), strict=False))
        at = f"{path} line {number + 2}"
        try:
            row = Row(
                int(values["idx"]),
                int(values["orig_idx"]),
                *(values[name] for name in COLUMNS[2:]),
            )
        except (KeyError, ValueError):
            raise ValueError(
                f"{at}: must have {len(names)} columns. Received: {line[:80]!r}. Download it again."
            ) from None
        if row.idx != number:
            raise ValueError(
                f"{at}: `idx` must count up from 0, without gaps and duplicates. "
                f"Received: idx={row.idx}, not {number}. Download it again."
            )
        if not FILE_NAME.fullmatch(row.orig_file):
            raise ValueError(
                f"{at}: `orig_file` must be the name of a JPEG file. "
                f"Received: {shown(row.orig_file)}."
            )
        if not (MD5.fullmatch(row.proc_md5) and MD5.fullmatch(row.final_md5)):
            raise ValueError(f"{at}: must end with two MD5 hashes. Received: {line[:120]!r}.")
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: must have a row per image. Received: none. Download it again.")
    return rows


def read_landmarks(celeba_dir: str, num_images: int) -> tuple[list[str], np.ndarray]:
    """Reads the landmarks of all images of CelebA.

    Returns:
        File names, and float32 [num_images, 5, 2]: x and y of left eye, right eye, nose, left and
        right corner of the mouth, in pixels.

    Raises:
        ValueError: the table has another number of rows, or a row is damaged.
        OSError: the table cannot be read.
    """
    path = os.path.join(celeba_dir, LANDMARK_FILE)
    _, names, values = _read_annotations(path, num_images, NUM_COORDINATES)
    return names, values.reshape(-1, NUM_COORDINATES // 2, 2)


def read_attributes(
    celeba_dir: str, num_images: int, rows: Sequence[Row]
) -> tuple[list[str], np.ndarray]:
    """Reads the attributes of some images of CelebA.

    Returns:
        Attribute names, and float32 [rows, attributes]: 1 = present, 0 = absent.

    Raises:
        ValueError: as in `read_landmarks`, or a row belongs to another photograph.
        OSError: the table cannot be read.
    """
    path = os.path.join(celeba_dir, ATTRIBUTE_FILE)
    attributes, names, values = read_all_attributes(path, num_images)
    for row in rows:
        if names[row.orig_idx] != row.orig_file:
            raise ValueError(
                f"{path}: row {row.orig_idx} must belong to {row.orig_file}. "
                f"Received: {plain(names[row.orig_idx])}. Download it again."
            )
    return attributes, values[[row.orig_idx for row in rows]]


def read_all_attributes(path: str, num_images: int) -> tuple[list[str], list[str], np.ndarray]:
    """Reads the attributes of all images of CelebA, from its text or from a CSV file of Kaggle.

    Returns:
        Attribute names, file names, and float32 [num_images, attributes]: 1 = present, 0 = absent.

    Raises:
        ValueError: as in `read_landmarks`.
        OSError: the table cannot be read.
    """
    if os.path.splitext(path)[1].lower() == ".csv":
        table = parse_table(path, read_bytes(path, MAX_BYTES))
        if len(table.rows) != num_images:
            raise ValueError(
                f"{path}: must have a row for each of {num_images} images. "
                f"Received: {len(table.rows)} rows. Download it again."
            )
        attributes, names = list(table.columns[1:]), table.column(0)
        values = _numbers(path, table.rows, len(attributes))
    else:
        attributes, names, values = _read_annotations(path, num_images, None)
    if not np.isin(values, (-1, 1)).all():
        raise ValueError(f"{path}: attributes must be 1 or -1. Download it again.")
    return attributes, names, (values > 0).astype(np.float32)


def _read_annotations(
    path: str, num_images: int, num_columns: int | None
) -> tuple[list[str], list[str], np.ndarray]:
    """Reads a table of CelebA: a count, column names, then a file name and numbers per row.

    With `num_columns` = None every named column must have a number.

    Returns:
        Column names, file names, float32 [num_images, columns].
    """
    lines = _read_lines(path)
    if len(lines) - 2 != num_images:
        raise ValueError(
            f"{path}: must have a row for each of {num_images} images, below two lines of header. "
            f"Received: {max(len(lines) - 2, 0)} rows. Download it again."
        )
    columns = lines[1].split()
    num_columns = num_columns or len(columns)
    rows = [line.split() for line in lines[2:]]
    for number, row in enumerate(rows):
        if len(row) != 1 + num_columns:
            raise ValueError(
                f"{path} line {number + 3}: must have a file name and {num_columns} numbers. "
                f"Received: {lines[number + 2][:80]!r}. Download it again."
            )
    return columns, [row[0] for row in rows], _numbers(path, rows, num_columns)


def _numbers(path: str, rows: Sequence[Sequence[str]], num_columns: int) -> np.ndarray:
    try:
        values = np.array([row[1:] for row in rows], dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{path}: {plain(str(error))}. Download it again.") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: must hold finite numbers. Download it again.")
    return values.reshape(-1, num_columns)


def _read_lines(path: str) -> list[str]:
    """Non-empty lines of a text file."""
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: must be a text file. Download it again.") from None
    return [line for line in text.splitlines() if line.strip()]
