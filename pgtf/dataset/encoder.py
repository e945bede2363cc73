"""The work of a worker process: items of a source -> images -> pyramid -> records."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pgtf.dataset import tfrecords
from pgtf.dataset.description import DTYPE, PAPER_GRID
from pgtf.dataset.pyramid import pyramid
from pgtf.dataset.record_files import write_records
from pgtf.grids import Grid


@dataclasses.dataclass(frozen=True)
class Rejected:
    """Result of `load` for an item that is not a usable image."""

    name: str  # file or record
    reason: str


class TooManyRejected(ValueError):
    """Raised for the first rejected item that `max_errors` does not allow."""


Load = Callable[[list[Any]], Iterable[np.ndarray | Rejected]]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Result of encoding some items."""

    records: list[np.ndarray]  # uint8 [n, record size] per level; empty if written already
    num_records: int
    num_items: int
    rejected: dict[int, tuple[str, str]]  # place among the items -> (name, reason)

    def first(self, limit: int) -> Encoded:
        """Returns the part that belongs to the first `limit` images."""
        if self.num_records <= limit:
            return self
        places = [place for place in range(self.num_items) if place not in self.rejected]
        num_items = places[limit - 1] + 1 if limit else 0
        rejected = {place: why for place, why in self.rejected.items() if place < num_items}
        return Encoded([level[:limit] for level in self.records], limit, num_items, rejected)


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Encodes (number of the first item, items) as records."""

    load: Load
    shape: tuple[int, int, int]
    paths: tuple[str, ...] | None  # write item i as record i of these files; None = return records
    grid: Grid = PAPER_GRID
    dtype: str = DTYPE

    def __call__(self, task: tuple[int, list[Any]]) -> Encoded:
        first, items = task
        kept: list[np.ndarray] = []
        rejected: dict[int, tuple[str, str]] = {}
        for place, image in enumerate(self.load(items)):
            if isinstance(image, Rejected):
                rejected[place] = (image.name, image.reason)
            elif image.shape != self.shape or image.dtype != self.dtype:
                raise TypeError(
                    f"`load` must give {self.dtype} {self.shape}. "
                    f"Received: {image.dtype} {image.shape}."
                )
            else:
                kept.append(image)
        images = np.empty((len(kept), *self.shape), self.dtype)
        for row, image in zip(images, kept, strict=True):
            row[...] = image
        records = [tfrecords.to_records(level) for level in pyramid(images, self.grid)]
        if self.paths is not None and not rejected:
            write_records(self.paths, records, first)
            records = []
        return Encoded(records, len(kept), len(items), rejected)
