"""The label file of a dataset, read row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.files import read_parts, retried
from pgtf.foreign import arrays
from pgtf.foreign.files import open_regular, size_of


@dataclasses.dataclass(frozen=True)
class Labels:
    """A label file, read row by row so that memory does not grow with its size."""

    path: str
    shape: tuple[int, int]  # images, columns
    dtype: np.dtype[Any]
    offset: int  # bytes before the first row

    def at(self, index: int) -> int:
        """Returns the offset of a row in the file."""
        return self.offset + index * self.shape[1] * self.dtype.itemsize

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Reads rows by number: [n] -> float32 [n, columns]."""
        rows = np.empty((len(indices), self.shape[1]), self.dtype)
        parts = [row.data for row in rows.view(np.uint8)]
        read_parts(self.path, parts, [self.at(int(i)) for i in indices], "row", indices)
        return rows.astype(np.float32)


def open_labels(path: str, names: Sequence[str], num_images: int) -> Labels | None:
    found = sorted(name for name in names if name.endswith(".labels"))
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{path}: must hold one label file. Received: {found}.")
    file_path = f"{path}/{found[0]}"
    header = retried(lambda: _read_header(file_path), file_path)
    shape, dtype = header.shape, header.dtype
    if len(shape) != 2 or header.fortran_order:
        raise ValueError(
            f"{file_path}: must be a C-ordered matrix of numbers, a row per image. "
            f"Received: shape={shape}, dtype={dtype}."
        )
    if shape[0] != num_images:
        raise ValueError(
            f"{file_path}: must have a row per image. "
            f"Received: {shape[0]} rows for {num_images} images. Create the labels anew."
        )
    return Labels(file_path, (shape[0], shape[1]), dtype, header.offset)


def _read_header(path: str) -> arrays.Header:
    """Reads the header of a .npy file."""
    with open_regular(path) as file:
        return arrays.read_header(file, size_of(file), path)
