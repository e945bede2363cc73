"""Labels in the order of the files, and what they may be: classes, or columns of numbers."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from pgtf.foreign.arrays import read_npy
from pgtf.wording import counted

FEW_CLASSES = 10  # Digits of which some are missing are classes all the same.
MAX_CLASSES = 1_000_000  # A one-hot code takes 4 bytes per class, so higher numbers are errors.


@dataclasses.dataclass(frozen=True)
class FileLabels:
    """Labels in the order of the files."""

    values: np.ndarray  # float32 [n, L], or class numbers [n]
    names: list[str]  # names of the columns, if known


def combine(source: str, names: Sequence[str], labels: list[Any], columns: list[str]) -> FileLabels:
    if all(isinstance(label, list) for label in labels):
        if len({len(label) for label in labels}) > 1:
            raise ValueError(f"{source}: all labels must have as many numbers.")
        return FileLabels(_matrix(source, labels, names), columns)
    if all(type(label) is int for label in labels):  # `type`, because bool is a subclass of int
        # Check Python's numbers: a file may hold some that are too large for NumPy.
        check_range(source, min(labels), max(labels))
        _warn_of_numbers(source, labels)
        return FileLabels(np.array(labels), [])
    if all(type(label) in (int, float) for label in labels):
        return FileLabels(_matrix(source, [[label] for label in labels], names), columns)
    if all(isinstance(label, str) for label in labels):
        return classes(labels)
    kinds = {type(label): label for label in labels}
    raise ValueError(
        f"{source}: labels must all be class names, numbers, or lists of numbers. "
        f"Received, for example: {', '.join(shown(label) for label in list(kinds.values())[:2])}."
    )


def _warn_of_numbers(source: str, labels: Sequence[int]) -> None:
    """Warns if class numbers look like ages or other quantities: most classes have no image."""
    num_classes, num_used = max(labels) + 1, len(set(labels))
    if num_used > 1 and num_classes > max(2 * num_used, FEW_CLASSES):
        logging.warning(
            "%s: whole numbers are class numbers: %d label columns, one for each of 0 to %d, "
            "though only %s occur. If they are quantities, such as ages, write them with a decimal "
            "point: %d.0.",
            source,
            num_classes,
            num_classes - 1,
            counted(num_used, "number"),
            max(labels),
        )


def classes(labels: Sequence[str]) -> FileLabels:
    """Numbers class names in alphabetical order, names that are numbers by their values."""
    names, numbers = np.unique(labels, return_inverse=True)
    ordered = names.tolist()
    if all(name.isdecimal() for name in ordered):
        ordered.sort(key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), name))
        places = {name: place for place, name in enumerate(ordered)}
        numbers = np.array([places[name] for name in names.tolist()])[numbers]
    # A folder's name may hold bytes that are not UTF-8, which dataset.json cannot store.
    readable = [name.encode("utf-8", "backslashreplace").decode() for name in ordered]
    return FileLabels(numbers, readable)


def read_matrix(path: str, num_images: int) -> np.ndarray:
    """Reads a .npy file with a row per image: -> float32 [n, L], or class numbers [n].

    Numbers [n] that are not integers are a column [n, 1].

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
    if values.ndim == 1 and values.dtype.kind == "f":
        values = values[:, np.newaxis]
    if values.ndim == 2:
        return _matrix(path, values)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{path}: class numbers must be integers. Received: {values.dtype}.")
    check_range(path, int(values.min()), int(values.max()))
    return values


def shown(label: Any) -> str:
    """Shows a label in a few characters: a file may hold any."""
    return reprlib.repr(label)


def check_range(source: str, low: int, high: int) -> None:
    if low < 0 or high >= MAX_CLASSES:
        remedy = " Write numbers that are no classes with a decimal point." if low < 0 else ""
        raise ValueError(
            f"{source}: class numbers must be 0 to {MAX_CLASSES - 1}. "
            f"Received: {shown(low)} to {shown(high)}.{remedy}"
        )


def _matrix(source: str, values: Any, names: Sequence[str] | None = None) -> np.ndarray:
    """Converts rows of numbers -> float32 [n, L]; `names` are those of the files, if known."""
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
        where = f"row {row}" if names is None else names[row]
        raise ValueError(
            f"{source}: labels must be finite numbers. "
            f"Received: {shown(matrix[row].tolist())} for {where}."
        )
    return matrix
