"""Labels of image files: from the names of their folders, or from a CSV, JSON or NumPy file."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.foreign.arrays import read_npy
from pgtf.foreign.files import read_bytes
from pgtf.foreign.json_files import read_json

MAX_BYTES = 1 << 30  # of a file with labels
MAX_DIGITS = 100  # of a class number; Python refuses to read thousands
MAX_CLASSES = 1_000_000  # A one-hot code takes 4 bytes per class, so higher numbers are errors.


@dataclasses.dataclass(frozen=True)
class FileLabels:
    """Labels in the order of the files."""

    values: np.ndarray  # float32 [n, L], or class numbers [n]
    names: list[str]  # names of the columns, if known


def read_labels(source: str, image_dir: str, names: Sequence[str]) -> FileLabels:
    """Finds the label of each file.

    Args:
        source: "folders": the class is the folder that the file is in. NAME.csv: a header, the
            file in the first column; then either one column with its class or one column for each
            number of its label. NAME.json: {file: label}, or {"labels": [[file, label], ...]} as
            StyleGAN's tools write it; a label is a class name, a class number or a list of numbers.
            NAME.npy: a matrix with a row for each file, in the order of their names, or class
            numbers.
        image_dir: the folder that file names are relative to.
        names: files below it.

    Raises:
        ValueError: a file has no label, or the labels do not fit together.
        OSError: the file with the labels cannot be read.
    """
    if source == "folders":
        return _classes([os.path.dirname(name) or "." for name in names])
    extension = os.path.splitext(source)[1].lower()
    if extension == ".npy":
        return FileLabels(read_matrix(source, len(names)), [])
    if extension == ".csv":
        by_name, columns = _read_csv(source)
    elif extension == ".json":
        by_name, columns = _read_json(source), []
    else:
        raise ValueError(
            f"`labels` must be folders, or a .csv, .json or .npy file. Received: labels={source}."
        )
    for name in names:
        if name not in by_name:
            raise ValueError(f"{source}: no label for {os.path.join(image_dir, name)}. Add one.")
    return _combine(source, [by_name[name] for name in names], columns)


def _combine(source: str, labels: list[Any], columns: list[str]) -> FileLabels:
    if all(isinstance(label, list) for label in labels):
        if len({len(label) for label in labels}) > 1:
            raise ValueError(f"{source}: all labels must have as many numbers.")
        return FileLabels(_matrix(source, labels), columns)
    if all(type(label) is int for label in labels):  # `type`, because bool is a subclass of int
        # Check Python's numbers: a file may hold some that are too large for NumPy.
        _check_range(source, min(labels), max(labels))
        return FileLabels(np.array(labels), [])
    if all(isinstance(label, str) for label in labels):
        return _classes(labels)
    kinds = {type(label): label for label in labels}
    raise ValueError(
        f"{source}: labels must all be class names, class numbers from 0, or lists of numbers. "
        f"Received, for example: {', '.join(_shown(label) for label in list(kinds.values())[:2])}."
    )


def _classes(labels: Sequence[str]) -> FileLabels:
    """Numbers class names in alphabetical order."""
    names, numbers = np.unique(labels, return_inverse=True)
    # A folder's name may hold bytes that are not UTF-8, which dataset.json cannot store.
    readable = [name.encode("utf-8", "backslashreplace").decode() for name in names.tolist()]
    return FileLabels(numbers, readable)


def _by_name(path: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Collects {file: label}; a file that is named twice must have the same label."""
    found: dict[str, Any] = {}
    for name, label in pairs:
        key = os.path.normpath(name)
        if found.setdefault(key, label) != label:
            raise ValueError(
                f"{path}: two labels for {name}: {_shown(found[key])} and {_shown(label)}."
            )
    return found


def _read_csv(path: str) -> tuple[dict[str, Any], list[str]]:
    try:
        text = io.StringIO(read_bytes(path, MAX_BYTES).decode("utf-8-sig"), newline="")
        rows = [[cell.strip() for cell in row] for row in csv.reader(text) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8 ({error}).") from None
    if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
        raise ValueError(f"{path}: must have a header and rows of the same length, 2 or more.")
    columns, rows = rows[0][1:], rows[1:]
    if len(columns) == 1:
        values = [row[1] for row in rows]
        numeric = all(value.isdecimal() for value in values)
        if numeric and (longest := max(values, key=len))[MAX_DIGITS:]:
            raise ValueError(
                f"{path}: class numbers must be 0 to {MAX_CLASSES - 1}. "
                f"Received: {longest[:MAX_DIGITS]}..., {len(longest)} digits."
            )
        return _by_name(path, ((row[0], int(row[1]) if numeric else row[1]) for row in rows)), []
    try:
        numbers = [(row[0], [float(value) for value in row[1:]]) for row in rows]
    except ValueError as error:
        raise ValueError(
            f"{path}: more than one label column must hold numbers ({error})."
        ) from None
    return _by_name(path, numbers), columns


def _read_json(path: str) -> dict[str, Any]:
    content = read_json(path, max_bytes=MAX_BYTES, allow_nan=True)
    pairs = list(content.items()) if isinstance(content, Mapping) else None
    if pairs is not None and isinstance(content.get("labels"), list):
        pairs = content["labels"]
    if pairs is None or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise ValueError(f'{path}: must be {{file: label}} or {{"labels": [[file, label], ...]}}.')
    return _by_name(path, pairs)


def read_matrix(path: str, num_images: int) -> np.ndarray:
    """Reads a .npy file with a row per image: -> float32 [n, L], or class numbers [n].

    Raises:
        ValueError: the file is damaged, or holds something else.
        OSError: it cannot be read.
    """
    try:
        values = read_npy(path)
    except ValueError as error:
        what = str(error).removeprefix(f"{path}: ").rstrip(".")
        raise ValueError(f"{path}: not a NumPy file of numbers, or damaged ({what}).") from None
    if values.ndim not in (1, 2) or len(values) != num_images:
        raise ValueError(
            f"{path}: must have a row for each of {num_images} files. "
            f"Received: shape={values.shape}."
        )
    if values.ndim == 2:
        return _matrix(path, values)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{path}: class numbers must be integers. Received: {values.dtype}.")
    _check_range(path, int(values.min()), int(values.max()))
    return values


def _shown(label: Any) -> str:
    """Shows a label in a few characters: a file may hold any."""
    return reprlib.repr(label)


def _check_range(source: str, low: int, high: int) -> None:
    if low < 0 or high >= MAX_CLASSES:
        raise ValueError(
            f"{source}: class numbers must be 0 to {MAX_CLASSES - 1}. "
            f"Received: {_shown(low)} to {_shown(high)}."
        )


def _matrix(source: str, values: Any) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            matrix = np.asarray(values, None if isinstance(values, np.ndarray) else np.float32)
            if matrix.dtype.kind not in "fiub":
                raise TypeError(f"not {matrix.dtype}")
            matrix = matrix.astype(np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{source}: labels must be numbers ({str(error)[:200]}).") from error
    if not matrix.shape[1]:
        raise ValueError(f"{source}: labels must have one number or more. Received: none.")
    if not (finite := np.isfinite(matrix).all(axis=1)).all():
        row = int(finite.argmin())
        raise ValueError(
            f"{source}: labels must be finite numbers. Received: {_shown(matrix[row].tolist())}."
        )
    return matrix
