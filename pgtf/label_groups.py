"""Kinds of label columns: classes, findings that may occur together, and numbers such as an age.

Networks see columns of numbers standardised, so that an age of 63 weighs as much as a class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

Kind = Literal["class", "multilabel", "continuous"]
CLASS: Kind = "class"
MULTILABEL: Kind = "multilabel"
CONTINUOUS: Kind = "continuous"
KINDS: tuple[Kind, ...] = (CLASS, MULTILABEL, CONTINUOUS)
LISTS = ("names", "mean", "deviation")  # per column


@dataclasses.dataclass(frozen=True)
class LabelGroup:
    """Label columns of one kind: a run of them, from `columns[0]` up to `columns[1]`."""

    kind: Kind
    columns: tuple[int, int]
    names: tuple[str, ...] = ()  # of the columns, () if they are not known
    mean: tuple[float, ...] = ()  # over the training images; only of continuous columns
    deviation: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.columns[1] - self.columns[0]

    @property
    def slice(self) -> slice:
        """The columns, as an index of rows."""
        return slice(*self.columns)

    def name_of(self, column: int) -> str:
        """Name of a column, counted from the first of all; its number if it has none."""
        index = column - self.columns[0]
        return self.names[index] if index < len(self.names) else str(column)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations of the columns, float32; a deviation of 0 counts as 1."""
        mean = np.array(self.mean or [0.0] * self.size, np.float32)
        deviation = np.array(self.deviation or [1.0] * self.size, np.float32)
        return mean, np.where(deviation > 0, deviation, np.float32(1))

    def as_json(self) -> dict[str, Any]:
        """Describes the group as dataset.json does."""
        lists = {name: list(getattr(self, name)) for name in LISTS if getattr(self, name)}
        return {"kind": self.kind, "columns": list(self.columns), **lists}


def from_json(groups: Iterable[Mapping[str, Any]]) -> tuple[LabelGroup, ...]:
    """Reads groups whose types have been checked."""
    return tuple(
        LabelGroup(
            group["kind"],
            (group["columns"][0], group["columns"][1]),
            **{name: tuple(group.get(name, ())) for name in LISTS},
        )
        for group in groups
    )


def one_class(label_size: int, names: Sequence[str] = ()) -> tuple[LabelGroup, ...]:
    """Makes one group of classes of all columns, as in the original release; () without labels."""
    return (LabelGroup(CLASS, (0, label_size), tuple(names)),) if label_size else ()


def cut(groups: Sequence[LabelGroup], label_size: int) -> tuple[LabelGroup, ...]:
    """Returns the groups of the first columns; a group that is cut loses the others."""
    found = []
    for group in groups:
        start, stop = group.columns[0], min(group.columns[1], label_size)
        if stop > start:
            lists = {name: getattr(group, name)[: stop - start] for name in LISTS}
            found.append(LabelGroup(group.kind, (start, stop), **lists))
    return tuple(found)


def check(groups: Sequence[LabelGroup], label_size: int) -> None:
    """Raises ValueError unless the groups follow each other and are all columns."""
    ends = [0, *(group.columns[1] for group in groups)]
    starts = [*(group.columns[0] for group in groups), label_size]
    wrong = [group for group in groups if group.kind not in KINDS or group.size < 1]
    wrong += [
        group
        for group in groups
        for name in LISTS
        if len(getattr(group, name)) not in (0, group.size)
    ]
    if ends != starts or wrong:
        raise ValueError(
            f"`label_groups` must be {label_size} columns, one group after the other, each of "
            f"{', '.join(KINDS)}, with lists of one value per column. "
            f"Received: {[(group.kind, *group.columns) for group in groups]}."
        )


def are_classes(groups: Sequence[LabelGroup]) -> bool:
    """True if the columns are the classes of one group, as in the original release."""
    return len(groups) == 1 and groups[0].kind == CLASS


def standardised(rows: Any, groups: Sequence[LabelGroup]) -> Any:
    """Scales columns of numbers to mean 0 and deviation 1: [N, L] -> the labels of networks.

    NumPy arrays and tensors of TensorFlow alike. Rows without such columns are returned as given.
    """
    if not _are_numbers(groups):
        return rows
    mean, deviation = _moments(groups)
    return (rows - mean) / deviation


def restored(rows: Any, groups: Sequence[LabelGroup]) -> Any:
    """Undoes `standardised`: the labels of networks -> the dataset's."""
    if not _are_numbers(groups):
        return rows
    mean, deviation = _moments(groups)
    return rows * deviation + mean


def _are_numbers(groups: Sequence[LabelGroup]) -> bool:
    return any(group.kind == CONTINUOUS for group in groups)


def _moments(groups: Sequence[LabelGroup]) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of all columns, 0 and 1 where they are no numbers."""
    size = groups[-1].columns[1]
    mean, deviation = np.zeros(size, np.float32), np.ones(size, np.float32)
    for group in groups:
        if group.kind == CONTINUOUS:
            mean[group.slice], deviation[group.slice] = group.moments()
    return mean, deviation
