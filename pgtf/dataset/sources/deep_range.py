"""The range of a set of files of more than 8 bits per value: percentiles of all their values."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from pgtf.dataset.sources.deep import percentile_range, sampled
from pgtf.dataset.sources.deep_pictures import read_values
from pgtf.dataset.sources.image_files import Page
from pgtf.dataset.sources.pictures import Conversion
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.reading import look_at
from pgtf.dataset.sources.survey import CHUNK
from pgtf.dataset.workers import default_num_workers, ordered_map


def range_of_files(
    image_dir: str,
    pages: Sequence[Page],
    conversion: Conversion,
    percentiles: Range,
    num_workers: int | None,
) -> Range:
    """Finds the range of a set of files by percentiles of its values.

    Raises:
        ValueError: all values are the same, or no file can be read.
    """
    chunks = [list(pages[start : start + CHUNK]) for start in range(0, len(pages), CHUNK)]
    num_workers = min(num_workers or default_num_workers(), len(chunks))
    look = _Look(image_dir, conversion, len(pages))
    found = []
    with tqdm(total=len(pages), unit="img", desc="Finding the range", disable=None) as bar:
        for part in ordered_map(look, chunks, num_workers):
            found += part
            bar.update(CHUNK)
    if not found:
        raise ValueError(f"{image_dir}: no file can be read.")
    extent = min(low for low, _, _ in found), max(high for _, high, _ in found)
    try:
        values = (some for _, _, some in found)
        return percentile_range(values, extent, percentiles, conversion.dtype)
    except ValueError as error:
        raise ValueError(f"{image_dir}: {error}.") from None


@dataclasses.dataclass(frozen=True)
class _Look:
    """Finds extents and some values of files in a worker."""

    image_dir: str
    conversion: Conversion
    num_images: int

    def __call__(self, pages: Sequence[Page]) -> list[tuple[float, float, np.ndarray]]:
        return list(self._looks(pages))

    def _looks(self, pages: Sequence[Page]) -> Iterator[tuple[float, float, np.ndarray]]:
        for name, page in pages:
            path = os.path.join(self.image_dir, name)
            found = look_at(path, functools.partial(read_values, path, self.conversion, page))
            if found is not None:
                values, _ = found
                yield float(values.min()), float(values.max()), sampled(values, self.num_images)
