"""Labels: rows of classes, and labels as the flags of generate.py describe them."""

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
    number = names.index(class_) if class_ in names else -1
    if number < 0 and class_.isdecimal():
        number = int(class_)
    if not 0 <= number < label_size:
        more = ", ..." if len(names) > MAX_LISTED else ""
        known = f", or one of {', '.join(names[:MAX_LISTED])}{more}" if names else ""
        raise ValueError(
            f"`--class` must be in 0 ... {label_size - 1}{known}. Received: {class_!r}."
        )
    return one_hot([number], label_size)[0]


def _parse_columns(text: str, label_size: int) -> np.ndarray:
    try:
        label = np.array([float(value) for value in text.split(",")], np.float32)
    except ValueError:
        label = np.zeros(0, np.float32)
    if label.size != label_size or not np.isfinite(label).all():
        raise ValueError(f"`--label` must be {label_size} numbers with commas. Received: {text!r}.")
    return label
