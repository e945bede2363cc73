"""The work on a folder of image files that is done in worker processes.

It imports little: each worker imports it again, in as much time as it takes to read many images.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.sources.pictures import Conversion
from pgtf.dataset.sources.reading import read_or_reject

Page = tuple[str, int]  # path below the folder, number of the picture in the file


class Read(Protocol):
    """Reads a page of a file: -> [C, H, W]; raises ValueError or OSError."""

    def __call__(self, path: str, conversion: Conversion, page: int = 0) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class LoadFiles:
    """The `load` of a folder; items are pages, or rejected already."""

    image_dir: str
    conversion: Conversion
    read: Read  # a function of a module, since workers import it

    def __call__(self, items: Sequence[Page | Rejected]) -> Iterator[np.ndarray | Rejected]:
        for item in items:
            yield item if isinstance(item, Rejected) else self._read(*item)

    def _read(self, name: str, page: int) -> np.ndarray | Rejected:
        path = os.path.join(self.image_dir, name)
        read = functools.partial(self.read, path, self.conversion, *([page] if page else []))
        return read_or_reject(path, read, f" (page {page + 1})" if page else "")
