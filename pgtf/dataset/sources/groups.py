"""Groups of images, such as those of one patient, of which some are held out as a whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pgtf.dataset.exporter import SHUFFLE_SEED
from pgtf.dataset.sources.annotations import LabelOptions, read_column
from pgtf.dataset.splits import Split, held_out, parse_held_out

FOLDERS = ("folder", "folders")


class Selection(Protocol):
    """Options of a source: the images that it takes, and those that are held out."""

    @property
    def max_images(self) -> int | None:
        """Images to write at most; None = all."""

    @property
    def held_out(self) -> str | None:
        """Number or share of images that training never sees."""

    @property
    def split_by(self) -> str | None:
        """Meaning of the groups."""


def group_column(split_by: str | None) -> str | None:
    """Column of a table that says which images belong together, and is no label."""
    return None if split_by is None or split_by.casefold() in FOLDERS else split_by


def groups_of(
    image_dir: str,
    names: Sequence[str],
    split_by: str | None,
    labels: str | None,
    table: LabelOptions,
) -> Sequence[str]:
    """Returns the group of each image.

    Args:
        image_dir: folder that file names are relative to.
        names: files below it.
        split_by: "folder", or a column of the table; None = each image is a group.
        labels: file with the table.
        table: parts of it that are used.

    Raises:
        OSError, ValueError: the column cannot be read.
    """
    if split_by is None:
        return names
    if (column := group_column(split_by)) is None:
        return [os.path.dirname(name) for name in names]
    return read_column(labels, column, image_dir, names, table)


def held_out_last(
    order: np.ndarray, groups: Sequence[str], images: Selection, num_before: int
) -> tuple[np.ndarray, Split]:
    """Moves the images that training shall not see to the end of an order.

    Args:
        order: numbers of images.
        groups: group of each image.
        images: the number of images, of those that are held out, and the meaning of the groups.
        num_before: number of other items that precede the images.
    """
    order = order[: images.max_images]
    amount = parse_held_out(images.held_out or "")
    is_held_out = held_out([groups[i] for i in order], amount, SHUFFLE_SEED)
    parts = order[~is_held_out], order[is_held_out]
    return np.concatenate(parts), Split(num_before + len(parts[0]), SHUFFLE_SEED, images.split_by)
