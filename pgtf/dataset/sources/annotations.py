"""Labels of image files: from the names of their folders, or from a CSV, JSON or NumPy file."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class FileLabels:
    """Labels in the order of the files."""

    values: np.ndarray  # float32 [n, L], or class numbers [n]
    names: list[str]  # of the columns; empty if not known


def read_labels(source: str, image_dir: str, names: Sequence[str]) -> FileLabels:
    """Finds the label of each file.

    Args:
        source: "folders": the class is the folder that the file is in. NAME.csv: a header, the
            file in the first column; then either one column with its class or one column for each
            number of its label. NAME.json: {file: label}, or {"labels": [[file, label], ...]} as
            StyleGAN's tools write it; a label is a class name, a class number or a list of numbers.
            NAME.npy: a matrix with a row for each file, in the order of their names.
        image_dir: the folder that file names are relative to.
        names: files below it.

    Raises:
        ValueError: a file has no label, or the labels do not fit together.
    """
    if source == "folders":
        return _classes([os.path.dirname(name) or "." for name in names])
    extension = os.path.splitext(source)[1].lower()
    if extension == ".npy":
        return _read_npy(source, len(names))
    if extension == ".csv":
        by_name, columns = _read_csv(source)
    elif extension == ".json":
        by_name, columns = _read_json(source), []
    else:
        raise ValueError(
            f"`labels` must be folders, or a .csv, .json or .npy file. Received: labels={source}."
        )
    by_name = {os.path.normpath(name): label for name, label in by_name.items()}
    for name in names:
        if name not in by_name:
            raise ValueError(f"{source}: no label for {os.path.join(image_dir, name)}.")
    return _combine(source, [by_name[name] for name in names], columns)


def _combine(source: str, labels: list[Any], columns: list[str]) -> FileLabels:
    if all(isinstance(label, list) for label in labels):
        if len({len(label) for label in labels}) > 1:
            raise ValueError(f"{source}: all labels must have as many numbers.")
        return FileLabels(_matrix(source, labels), columns)
    if all(isinstance(label, int) and label >= 0 for label in labels):
        return FileLabels(np.array(labels), [])
    if all(isinstance(label, str) for label in labels):
        return _classes(labels)
    raise ValueError(
        f"{source}: labels must all be class names, class numbers from 0, or lists of numbers. "
        f"Received, for example: {labels[0]!r}."
    )


def _classes(labels: Sequence[str]) -> FileLabels:
    """Class names, numbered in alphabetical order."""
    names, numbers = np.unique(labels, return_inverse=True)
    return FileLabels(numbers, names.tolist())


def _read_csv(path: str) -> tuple[dict[str, Any], list[str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
        raise ValueError(f"{path}: must have a header and rows of the same length, 2 or more.")
    columns, rows = rows[0][1:], rows[1:]
    if len(columns) == 1:
        values = [row[1] for row in rows]
        numeric = all(value.isdecimal() for value in values)
        return {row[0]: int(row[1]) if numeric else row[1] for row in rows}, []
    try:
        return {row[0]: [float(value) for value in row[1:]] for row in rows}, columns
    except ValueError as error:
        raise ValueError(
            f"{path}: more than one label column must hold numbers ({error})."
        ) from None


def _read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        try:
            content = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}).") from error
    if isinstance(content, Mapping) and isinstance(content.get("labels"), list):
        try:
            return {name: label for name, label in content["labels"]}
        except (TypeError, ValueError):
            content = None
    if not isinstance(content, dict):
        raise ValueError(f'{path}: must be {{file: label}} or {{"labels": [[file, label], ...]}}.')
    return content


def _read_npy(path: str, num_images: int) -> FileLabels:
    matrix = np.load(path, allow_pickle=False)
    if matrix.shape == (num_images,) and matrix.dtype.kind in "iu":
        return FileLabels(matrix, [])
    if matrix.ndim != 2 or len(matrix) != num_images:
        raise ValueError(
            f"{path}: must have a row for each of {num_images} files. "
            f"Received: shape={matrix.shape}."
        )
    return FileLabels(_matrix(path, matrix), [])


def _matrix(source: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: labels must be numbers ({error}).") from error
