"""Arrays of float32 that do not fit in memory: they are kept in unnamed temporary files."""

from __future__ import annotations

import math
import os
import tempfile

import numpy as np

MAX_BYTES = 1 << 31  # 262,144 feature vectors of 2048 values


def allocate(shape: tuple[int, ...], in_file: bool) -> np.ndarray:
    """Makes an array without content, in memory or in a temporary file."""
    if not in_file:
        return np.empty(shape, np.float32)
    # The file has no name and disappears with the process, however that ends. Its space is
    # allocated now, because a disk that fills up later would kill the process without a message.
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        return np.memmap(file, np.float32, "w+", shape=shape)


class Rows:
    """Float32 rows that arrive in parts, in a temporary file if they are large.

    Args:
        num_rows: most rows that will be added.
        max_bytes: larger arrays are kept in a file.
    """

    def __init__(self, num_rows: int, max_bytes: int = MAX_BYTES) -> None:
        self._num_rows, self._max_bytes = num_rows, max_bytes
        self._kept: np.ndarray | None = None
        self._num = 0

    def append(self, rows: np.ndarray) -> None:
        """Adds [n, D]."""
        if self._kept is None:
            shape = (self._num_rows, rows.shape[1])
            self._kept = allocate(shape, 4 * math.prod(shape) > self._max_bytes)
        self._kept[self._num : self._num + len(rows)] = rows
        self._num += len(rows)

    def array(self) -> np.ndarray:
        """Returns all rows so far: [N, D]."""
        return np.empty((0, 0), np.float32) if self._kept is None else self._kept[: self._num]
