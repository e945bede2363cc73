"""Labels: rows of classes, and labels as flags and arguments describe them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_LISTED = 100  # names of classes in an error


def one_hot(numbers: Any, label_size: int) -> np.ndarray:
    """Makes rows of classes: [N] -> float32 [N, label_size]; numbers count modulo label_size."""
    numbers = np.asarray(numbers)
    rows = np.zeros((len(numbers), label_size), np.float32)  # Not np.eye: there may be many labels.
    rows[np.arange(len(numbers)), numbers % label_size] = 1
    return rows


def parse_label(
    label_size: int, names: Sequence[str], class_: str | None = None, label: str | None = None
) -> np.ndarray | None:
    """Reads one label, float32 [label_size], from a class or numbers; None without either.

    Args:
        label_size: number of label columns of the network.
        names: names of the classes, () if they have none.
        class_: number or name of a class.
        label: numbers with commas.

    Raises:
        ValueError: if the text does not fit the network.
    """
    if class_ is None and label is None:
        return None
    if class_ is not None and label is not None:
        raise ValueError("`--class` and `--label` exclude each other.")
    if not label_size:
        raise ValueError("`--class` and `--label` need a network with labels; this one has none.")
    if class_ is None:
        return _parse_columns(label or "", label_size)
    return one_hot([_class_number(class_, label_size, names, "--class")], label_size)[0]


def label_rows(
    labels: Any, numbers: Sequence[int] | np.ndarray, label_size: int, names: Sequence[str] = ()
) -> np.ndarray | None:
    """Makes one label per image, float32 [N, label_size]; None for a network without labels.

    Args:
        labels: None = the classes in turn, class number modulo label_size; the number or name of
            one class for all images; N numbers or names; one label of label_size floats for all
            images; or N of them, [N, label_size].
        numbers: numbers of the N images, such as their seeds.
        label_size: number of label columns of the network.
        names: names of the classes, () if they have none.

    Raises:
        ValueError: if they do not fit the network.
    """
    if not label_size:
        if labels is not None:
            raise ValueError("`labels` must be None, because this network has no labels.")
        return None
    if labels is None:
        return one_hot(numbers, label_size)
    values = np.asarray(labels)
    if values.dtype.kind in "iuU" and values.ndim < 2:
        classes = [_class_number(x, label_size, names, "labels") for x in values.ravel().tolist()]
        rows = one_hot(classes, label_size)
    elif values.dtype.kind in "iuf" and values.shape[-1:] == (label_size,) and values.ndim < 3:
        rows = np.atleast_2d(values).astype(np.float32)
    else:
        raise ValueError(
            f"`labels` must be classes, or rows of {label_size} numbers. Received: {values.dtype} "
            f"{list(values.shape)}."
        )
    if values.ndim == 0 or (values.ndim == 1 and values.dtype.kind == "f"):
        rows = np.tile(rows, (len(numbers), 1))
    if not np.isfinite(rows).all():
        raise ValueError("`labels` must be finite. Received: NaN or infinity.")
    if len(rows) != len(numbers):
        raise ValueError(
            f"`labels` must be one, or one per image. Received: {len(rows)} for {len(numbers)}."
        )
    return rows


def _class_number(value: str | int, label_size: int, names: Sequence[str], argument: str) -> int:
    """Finds the class with a name or a number. Raises ValueError if there is none."""
    number = names.index(value) if value in names else -1
    if number < 0 and str(value).isdecimal():
        number = int(value)
    if not 0 <= number < label_size:
        more = ", ..." if len(names) > MAX_LISTED else ""
        known = f", or one of {', '.join(names[:MAX_LISTED])}{more}" if names else ""
        raise ValueError(
            f"`{argument}` must be in 0 ... {label_size - 1}{known}. Received: {value!r}."
        )
    return number


def _parse_columns(text: str, label_size: int) -> np.ndarray:
    try:
        label = np.array([float(value) for value in text.split(",")], np.float32)
    except ValueError:
        label = np.zeros(0, np.float32)
    if label.size != label_size or not np.isfinite(label).all():
        raise ValueError(f"`--label` must be {label_size} numbers with commas. Received: {text!r}.")
    return label
