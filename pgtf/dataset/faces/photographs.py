"""Photographs of any kind and size -> uint8 arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator

import numpy as np

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.sources.pictures import FILE_ERRORS, Alpha, converted, to_plain
from pgtf.foreign.pictures import open_picture, reason


def read_photograph(path: str, alpha: Alpha) -> np.ndarray:
    """Reads a photograph upright, in sRGB or gray: -> uint8 [1 or 3, H, W].

    Raises:
        ValueError, OSError: the file cannot be used; `reason` makes one line of it.
    """
    with open_picture(path) as file:
        picture = to_plain(file, alpha)
        pixels = np.asarray(converted(picture, "L" if picture.mode == "L" else "RGB"))
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@dataclasses.dataclass(frozen=True)
class LoadPhotographs:
    """Reads the photographs in a folder, in the workers."""

    image_dir: str
    alpha: Alpha

    def __call__(self, names: Iterable[str]) -> Iterator[np.ndarray | Rejected]:
        """Reads paths below the folder: uint8 [1 or 3, H, W] each, or the reason why not."""
        for name in names:
            path = os.path.join(self.image_dir, name)
            try:
                pixels = read_photograph(path, self.alpha)
            except FILE_ERRORS as error:
                yield Rejected(path, reason(error))
            else:
                yield pixels
