"""Labels: rows of classes, and labels as flags and arguments describe them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgtf.foreign.numbers import is_number
from pgtf.label_groups import CLASS, CONTINUOUS, LabelGroup, are_classes, standardised

MAX_LISTED = 100  # names of classes in an error
FAR = 1.5  # deviations from the mean, where one image in seven is


def one_hot(numbers: Any, label_size: int) -> np.ndarray:
    """Makes rows of classes: [N] -> float32 [N, label_size]; numbers count modulo label_size."""
    numbers = np.asarray(numbers)
    rows = np.zeros((len(numbers), label_size), np.float32)  # Not np.eye: there may be many labels.
    rows[np.arange(len(numbers)), numbers % label_size] = 1
    return rows


def default_rows(numbers: Any, groups: Sequence[LabelGroup]) -> np.ndarray:
    """Makes the rows of images for which no label is asked: [N] -> float32 [N, label_size].

    Classes in turn, by number modulo their count; no finding; the mean of numbers. As all rows
    here they are those that networks see, whose numbers are standardised.
    """
    numbers = np.asarray(numbers)
    rows = np.zeros((len(numbers), groups[-1].columns[1] if groups else 0), np.float32)
    for group in groups:
        if group.kind == CLASS:
            rows[:, group.slice] = one_hot(numbers, group.size)
    return rows


class Choice(NamedTuple):
    """A label to show: one column set to a value, the others as those of `default_rows`."""

    name: str
    column: int
    value: float  # as networks see it


def choices(groups: Sequence[LabelGroup]) -> list[Choice]:
    """Lists labels to show one by one: those of every column, in order.

    A class, a finding alone, or a number far below and far above its mean.
    """
    found = []
    for group in groups:
        mean, deviation = group.moments()
        for index, column in enumerate(range(*group.columns)):
            name = group.name_of(column)
            if group.kind != CONTINUOUS:
                found.append(Choice(name, column, 1.0))
                continue
            for value in (-FAR, FAR):
                text = f"{name} = {mean[index] + value * deviation[index]:.3g}"
                found.append(Choice(text, column, value))
    return found


def row_of(choice: Choice, groups: Sequence[LabelGroup]) -> np.ndarray:
    """Makes the label of a choice: float32 [label_size]."""
    row = default_rows([0], groups)[0]
    for group in groups:
        if group.kind == CLASS and choice.column in range(*group.columns):
            row[group.slice] = 0
    row[choice.column] = choice.value
    return row


def parse_label(
    groups: Sequence[LabelGroup], class_: str | None = None, label: str | None = None
) -> np.ndarray | None:
    """Reads one label, float32 [label_size], from a class, names or numbers; None without either.

    Args:
        groups: kinds of the label columns of the network.
        class_: number or name of a class.
        label: names with values such as "age=63,sex=1", or all columns' numbers, with commas.

    Raises:
        ValueError: if the text does not fit the network.
    """
    if class_ is None and label is None:
        return None
    if class_ is not None and label is not None and are_classes(groups):
        raise ValueError("`--class` and `--label` exclude each other.")
    if not groups:
        raise ValueError("`--class` and `--label` need a network with labels; this one has none.")
    row = default_rows([0], groups)[0]
    if class_ is not None:
        row = _with_class(row, groups, class_, "--class")
    if label is None:
        return row
    pairs = [part.partition("=") for part in label.split(",")]
    if not any(equals for _, equals, _ in pairs) and not _are_names(pairs, groups):
        return _parse_columns(label, groups)
    values = {name.strip(): value.strip() if equals else "1" for name, equals, value in pairs}
    return _with_values(row, groups, values, "--label")


def label_rows(
    labels: Any, numbers: Sequence[int] | np.ndarray, groups: Sequence[LabelGroup]
) -> np.ndarray | None:
    """Makes one label per image, float32 [N, label_size]; None for a network without labels.

    Args:
        labels: None = as `default_rows`; the number or name of one class for all images; N numbers
            or names; {name of a column: value} or N of them; one label of label_size floats for
            all images; or N of them, [N, label_size].
        numbers: numbers of the N images, such as their seeds.
        groups: kinds of the label columns of the network.

    Raises:
        ValueError: if they do not fit the network.
    """
    if not groups:
        if labels is not None:
            raise ValueError("`labels` must be None, because this network has no labels.")
        return None
    if labels is None:
        return default_rows(numbers, groups)
    rows = _rows_of(labels, numbers, groups)
    if not np.isfinite(rows).all():
        raise ValueError("`labels` must be finite. Received: NaN or infinity.")
    if len(rows) != len(numbers):
        raise ValueError(
            f"`labels` must be one, or one per image. Received: {len(rows)} for {len(numbers)}."
        )
    return rows


def _rows_of(
    labels: Any, numbers: Sequence[int] | np.ndarray, groups: Sequence[LabelGroup]
) -> np.ndarray:
    label_size, zero = groups[-1].columns[1], default_rows([0], groups)[0]
    if isinstance(labels, Mapping):
        row = _with_values(zero, groups, labels, "labels")
        return np.tile(row, (len(numbers), 1))
    if isinstance(labels, list | tuple) and labels and isinstance(labels[0], Mapping):
        return np.stack([_with_values(zero, groups, one, "labels") for one in labels])
    values = np.asarray(labels)
    if values.dtype.kind in "iuU" and values.ndim < 2:
        classes = values.ravel().tolist()
        rows = np.stack([_with_class(zero, groups, x, "labels") for x in classes] or [zero])
        rows = rows[: len(classes)]
    elif values.dtype.kind in "iuf" and values.shape[-1:] == (label_size,) and values.ndim < 3:
        rows = standardised(np.atleast_2d(values).astype(np.float32), groups)
    else:
        raise ValueError(
            f"`labels` must be classes, or rows of {label_size} numbers. Received: {values.dtype} "
            f"{list(values.shape)}."
        )
    if values.ndim == 0 or (values.ndim == 1 and values.dtype.kind == "f"):
        rows = np.tile(rows, (len(numbers), 1))
    return rows


def _with_class(
    row: np.ndarray, groups: Sequence[LabelGroup], value: str | int, argument: str
) -> np.ndarray:
    """Returns a row with another class, a number or name, in its first group of classes."""
    group = next((group for group in groups if group.kind == CLASS), None)
    if group is None:
        raise ValueError(f"`{argument}` needs a network with classes. Received: {value!r}.")
    row = row.copy()
    number = _class_number(value, group.size, group.names, argument)
    row[group.slice] = one_hot([number], group.size)[0]
    return row


def _with_values(
    row: np.ndarray, groups: Sequence[LabelGroup], values: Mapping[str, Any], argument: str
) -> np.ndarray:
    """Returns a row with the columns of some names set to values of the dataset."""
    columns = {group.name_of(i): (group, i) for group in groups for i in range(*group.columns)}
    row = row.copy()
    for name, text in values.items():
        if name not in columns:
            known = ", ".join([*columns][:MAX_LISTED])
            raise ValueError(f"`{argument}` must name columns of {known}. Received: {name!r}.")
        group, column = columns[name]
        value = np.float32(np.nan)
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            value = np.float32(float(text))
        if not np.isfinite(value):
            raise ValueError(f"`{argument}` must give {name} a number. Received: {text!r}.")
        if group.kind == CONTINUOUS:
            mean, deviation = (x[column - group.columns[0]] for x in group.moments())
            value = (value - mean) / deviation
        elif group.kind == CLASS:  # The other classes of the group are not asked for.
            row[group.slice] = 0
        row[column] = value
    return row


def _are_names(pairs: Sequence[tuple[str, str, str]], groups: Sequence[LabelGroup]) -> bool:
    """True if the parts of a text are names of columns, such as findings, and no numbers."""
    names = {name for group in groups for name in group.names}
    texts = [text.strip() for text, _, _ in pairs]
    return all(text in names for text in texts) and not all(map(is_number, texts))


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


def _parse_columns(text: str, groups: Sequence[LabelGroup]) -> np.ndarray:
    label_size = groups[-1].columns[1]
    try:
        label = np.array([float(value) for value in text.split(",")], np.float32)
    except ValueError:
        label = np.zeros(0, np.float32)
    if label.size != label_size or not np.isfinite(label).all():
        raise ValueError(f"`--label` must be {label_size} numbers with commas. Received: {text!r}.")
    found: np.ndarray = standardised(label, groups)
    return found
