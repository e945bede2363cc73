"""Kinds of label columns, as dataset.json states them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.label_groups import CLASS, CONTINUOUS, MULTILABEL, LabelGroup, cut, from_json

DIGITS = 6  # of a mean; machines differ in those that follow


def groups_of_columns(meta: Mapping[str, Any], label_size: int) -> tuple[LabelGroup, ...]:
    """Groups that the first `label_size` columns form.

    Columns that dataset.json does not describe are a class, as all are in the original release.

    Args:
        meta: content of dataset.json.
        label_size: number of columns in use; a group that they cut loses the other columns.

    Raises:
        ValueError: the groups of dataset.json overlap, or are not in order.
    """
    groups: list[LabelGroup] = []
    end = 0
    for group in meta.get("label_groups", ()):
        start, stop = group["columns"]
        if start != end:
            raise ValueError(
                "`label_groups` in dataset.json must follow each other from column 0. "
                f"Received: a group that begins at column {start}, not {end}."
            )
        end = stop
    groups += cut(from_json(meta.get("label_groups", ())), label_size)
    if end < label_size:
        names = tuple(meta.get("label_names", ())[end:label_size])
        groups.append(LabelGroup("class", (end, label_size), names))
    return tuple(groups)


def label_groups(labels: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Describes runs of label columns of one kind.

    A class has one 1 among zeros; a multilabel any number of them; other columns are continuous,
    and their means and standard deviations are listed.

    Args:
        labels: class numbers [n], or a matrix [n, L].
        names: names of the columns, if known.
    """
    if labels.ndim == 1:
        return [_group(CLASS, 0, int(labels.max()) + 1, names)]
    is_binary: list[bool] = [bool(np.isin(column, (0, 1)).all()) for column in labels.T]
    groups, start = [], 0
    for binary, run in itertools.groupby(is_binary):
        end = start + len(list(run))
        columns = labels[:, start:end]
        if not binary:
            group = _group(CONTINUOUS, start, end, names)
            group["mean"] = _rounded(columns.mean(axis=0, dtype=np.float64))
            group["deviation"] = _rounded(columns.std(axis=0, dtype=np.float64))
        elif end - start > 1 and (columns.sum(axis=1) == 1).all():
            group = _group(CLASS, start, end, names)
        else:
            group = _group(MULTILABEL, start, end, names)
        groups.append(group)
        start = end
    return groups


def _group(kind: str, start: int, end: int, names: Sequence[str]) -> dict[str, Any]:
    group: dict[str, Any] = {"kind": kind, "columns": [start, end]}
    return group | ({"names": list(names[start:end])} if names else {})


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
