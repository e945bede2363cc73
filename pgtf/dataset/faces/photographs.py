"""Photographs of any kind and size -> uint8 arrays."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator

import numpy as np

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.sources.pictures import Alpha, converted, to_plain
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.foreign.pictures import open_picture


def read_photograph(
    path: str, alpha: Alpha, max_pixels: int | None = None, value_range: Range | None = None
) -> np.ndarray:
    """Reads a photograph upright, in sRGB or gray: -> uint8 [1 or 3, H, W].

    Args:
        path: the file.
        alpha: treatment of transparent pixels.
        max_pixels: of the file; None = the default.
        value_range: stored values that become black and white; None = all of their type.

    Raises:
        ValueError, OSError: the file cannot be used; `reason` makes one line of it.
    """
    with open_picture(path, max_pixels=max_pixels) as file:
        picture = to_plain(file, alpha, value_range)
        pixels = np.asarray(converted(picture, "L" if picture.mode == "L" else "RGB"))
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@dataclasses.dataclass(frozen=True)
class LoadPhotographs:
    """Reads the photographs in a folder, in the workers."""

    image_dir: str
    alpha: Alpha
    least_side: int = 1  # pixels
    max_pixels: int | None = None  # of a file; None = the default
    value_range: Range | None = None  # stored values that become black and white

    def __call__(self, names: Iterable[str]) -> Iterator[np.ndarray | Rejected]:
        """Reads paths below the folder: uint8 [1 or 3, H, W] each, or the reason why not."""
        for name in names:
            path = os.path.join(self.image_dir, name)
            yield read_or_reject(path, functools.partial(self._read, path))

    def _read(self, path: str) -> np.ndarray:
        pixels = read_photograph(path, self.alpha, self.max_pixels, self.value_range)
        height, width = pixels.shape[1:]
        if min(height, width) < self.least_side:
            raise ValueError(
                f"must have at least {self.least_side} pixels each way, found {width}x{height}"
            )
        return pixels
