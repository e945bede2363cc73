"""Looks at the files of a folder before they are converted: ranges of values, numbers of pages."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from absl import logging
from tqdm import tqdm

from pgtf.dataset.sources.image_files import Page
from pgtf.dataset.sources.ranges import Range, extent
from pgtf.dataset.sources.reading import look_at
from pgtf.dataset.workers import default_num_workers, ordered_map
from pgtf.foreign.pictures import num_pages, open_picture
from pgtf.foreign.samples import is_deep

SURVEYED = 200  # files opened at most to warn of something
DECODED = 50  # files decoded at most for that
MANY_PAGES = (".apng", ".gif", ".tif", ".tiff", ".webp")  # extensions of files that may have more
CHUNK = 16  # files per task of a worker
SMALL_PART = 2  # Warn if the values span less than the whole range divided by this.


@dataclasses.dataclass(frozen=True)
class Survey:
    """Facts about some of the files."""

    num_files: int
    with_pages: tuple[str, ...]  # files with more than one picture
    extents: tuple[tuple[float, float, float | None], ...]  # of deep pictures; see `extent`


def evenly(names: Sequence[str], count: int) -> list[str]:
    """Chooses names at even distances."""
    return list(names[:: -(-len(names) // count) or 1])


def survey(image_dir: str, names: Sequence[str], max_pixels: int | None = None) -> Survey:
    """Opens some files, and decodes a few of those with more than 8 bits per value."""
    likely = [name for name in names if os.path.splitext(name)[1].lower() in MANY_PAGES]
    chosen = sorted({*evenly(names, SURVEYED), *evenly(likely, SURVEYED)})
    with_pages: list[str] = []
    extents: list[tuple[float, float, float | None]] = []
    for name in chosen:
        path = os.path.join(image_dir, name)
        decode = len(extents) < DECODED
        found = look_at(path, functools.partial(_facts, path, max_pixels, decode))
        if found is not None:
            count, extent_of_deep = found
            with_pages += [name] if count > 1 else []
            extents += [] if extent_of_deep is None else [extent_of_deep]
    return Survey(len(chosen), tuple(with_pages), tuple(extents))


def _facts(
    path: str, max_pixels: int | None, decode: bool
) -> tuple[int, tuple[float, float, float | None] | None]:
    """Number of pages of a file, and the extent of a deep picture if it may be decoded."""
    with open_picture(path, max_pixels=max_pixels) as picture:
        return num_pages(picture), extent(picture) if decode and is_deep(picture) else None


def _num_pages(path: str, max_pixels: int | None) -> int:
    with open_picture(path, pixels=False, max_pixels=max_pixels) as picture:
        return num_pages(picture)


def _extent(path: str, max_pixels: int | None, page: int) -> tuple[float, float]:
    with open_picture(path, max_pixels=max_pixels, page=page) as picture:
        return extent(picture)[:2]


def small_part(found: Survey) -> tuple[float, float, float] | None:
    """Lowest and highest value of deep pictures, and the highest possible one, if they differ much.

    None if the values span half the range of their type or more, or if there are no such pictures.
    """
    known = [(low, high, most) for low, high, most in found.extents if most is not None]
    if not known:
        return None
    low, high = min(x[0] for x in known), max(x[1] for x in known)
    most = max(x[2] for x in known)
    return (low, high, most) if 0 < high - low < most / SMALL_PART else None


def warn(found: Survey, has_range: bool, takes_all: bool) -> None:
    """Warns of pages that are not taken, and of values that span a small part of their range."""
    if found.with_pages and not takes_all:
        count = len(found.with_pages)
        logging.warning(
            "%s%s more than one picture, of which the first is taken; --pages=all takes all "
            "(%d files looked at).",
            found.with_pages[0],
            " has" if count == 1 else f" and {count - 1} more have",
            found.num_files,
        )
    if not has_range and (part := small_part(found)):
        low, high, most = part
        bits = int(high).bit_length()
        logging.warning(
            "Values of 0 to %d are possible, but those of %d pictures are %d to %d, so they become "
            "%s. --range=auto makes the lowest and highest of all files black and white; for "
            "values of %d bits, --range=0,%d is the same for every set.",
            most,
            len(found.extents),
            low,
            high,
            "dark" if high < most / SMALL_PART else "pale",
            bits,
            (1 << bits) - 1,
        )


def all_pages(image_dir: str, names: Iterable[str], max_pixels: int | None) -> list[Page]:
    """Lists each picture of each file; a file that cannot be opened counts as one."""
    result: list[Page] = []
    for name in names:
        path = os.path.join(image_dir, name)
        count = look_at(path, functools.partial(_num_pages, path, max_pixels))
        result += ((name, page) for page in range(count or 1))
    return result


def known_range(
    value_range: Range | Literal["auto"] | None,
    image_dir: str,
    names: Sequence[str],
    max_pixels: int | None,
    num_workers: int | None,
) -> Range | None:
    """Returns the range that a flag gave, or finds that of the first pictures of all files."""
    if value_range != "auto":
        return value_range
    return auto_range(image_dir, [(name, 0) for name in names], max_pixels, num_workers)


def auto_range(
    image_dir: str, pages: Sequence[Page], max_pixels: int | None, num_workers: int | None
) -> Range:
    """Finds the lowest and the highest value of a set of files.

    Raises:
        ValueError: all values are the same, or no file can be read.
    """
    chunks = [list(pages[start : start + CHUNK]) for start in range(0, len(pages), CHUNK)]
    num_workers = min(num_workers or default_num_workers(), len(chunks))
    low, high = np.inf, -np.inf
    with tqdm(total=len(pages), unit="img", desc="Finding the range", disable=None) as bar:
        for found in ordered_map(_Extents(image_dir, max_pixels), chunks, num_workers):
            for lowest, highest in found:
                low, high = min(low, lowest), max(high, highest)
            bar.update(CHUNK)
    if not low < high:
        raise ValueError(
            f"{image_dir}: its files must have different values for --range=auto. Received: "
            + (f"{low:g} everywhere." if low == high else "no file that can be read.")
        )
    return low, high


@dataclasses.dataclass(frozen=True)
class _Extents:
    """Finds the extents of files in a worker."""

    image_dir: str
    max_pixels: int | None

    def __call__(self, pages: Sequence[Page]) -> list[tuple[float, float]]:
        return list(self._extents(pages))

    def _extents(self, pages: Sequence[Page]) -> Iterator[tuple[float, float]]:
        for name, page in pages:
            path = os.path.join(self.image_dir, name)
            found = look_at(path, functools.partial(_extent, path, self.max_pixels, page))
            if found is not None:
                yield found
