"""The record files of a folder in the making, one per level. They grow together."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
from collections.abc import Mapping, Sequence

import numpy as np

from pgtf.dataset import tfrecords
from pgtf.dataset.journal import CAREFULLY
from pgtf.files import retried
from pgtf.grids import Grid

COARSEST = 2  # level of the grid
SPARE_BYTES = 1 << 20  # disk space for the contact sheet and the like


class RecordFiles:
    """Record files that are open for syncing and truncating; workers write to them by name.

    Attributes:
        names: file names in the folder.
        paths: the same files with their folder.
    """

    def __init__(self, folder: str, record_sizes: Mapping[str, int]):
        """Takes the folder and {file name: bytes per record}; opens nothing."""
        self.names = tuple(record_sizes)
        self.paths = tuple(os.path.join(folder, name) for name in record_sizes)
        self._sizes = tuple(record_sizes.values())
        self._descriptors: list[int] = []

    def create(self) -> None:
        """Creates and opens the files, none of which may exist."""
        for path in self.paths:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFULLY
            self._descriptors.append(os.open(path, flags, 0o666))

    def open(self) -> None:
        """Opens the files, all of which must exist."""
        for path in self.paths:
            self._descriptors.append(os.open(path, os.O_WRONLY | CAREFULLY))

    def truncate(self, num_records: int) -> None:
        """Cuts every file to its first `num_records` records."""
        for descriptor, size in zip(self._descriptors, self._sizes, strict=True):
            os.ftruncate(descriptor, num_records * size)

    def sync(self) -> None:
        """Brings everything written so far to the disk."""
        for descriptor in self._descriptors:
            os.fsync(descriptor)

    def close(self) -> None:
        """Closes the files."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def hold(self, num_records: int) -> bool:
        """True if every file has at least `num_records` records."""
        return all(
            _file_size(path) >= num_records * size
            for path, size in zip(self.paths, self._sizes, strict=True)
        )

    def describe_shortest(self) -> str:
        """Names the file with the fewest records, and its size."""
        found = [_file_size(path) for path in self.paths]
        shortest = min(range(len(found)), key=lambda i: found[i] / self._sizes[i])
        what = "is missing" if found[shortest] < 0 else f"has {found[shortest]} bytes"
        return f"{self.names[shortest]} {what}"


def record_sizes(name: str, shape: tuple[int, int, int], grid: Grid, dtype: str) -> dict[str, int]:
    """Returns {file name: bytes per record}, finest level first."""
    finest = grid.level_of(*shape[1:]) or COARSEST
    sizes = {}
    for log2 in range(finest, COARSEST - 1, -1):
        layout = tfrecords.layout((shape[0], *grid.size_at(log2)), dtype=tfrecords.DTYPES[dtype])
        sizes[f"{name}-r{log2:02d}.tfrecords"] = layout.record_size
    return sizes


def check_disk_space(path: str, num_bytes: int) -> None:
    """Raises OSError if a disk has less space than so many bytes, and some to spare."""
    needed, free = num_bytes + SPARE_BYTES, shutil.disk_usage(path).free
    if free < needed:
        raise OSError(
            f"{path}: the disk is too small. Needed: {needed / 2**20:,.1f} MiB, "
            f"free: {free / 2**20:,.1f} MiB. Free some, or choose a folder on another disk."
        )


def write_records(paths: Sequence[str], records: Sequence[np.ndarray], first: int) -> None:
    """Writes records of every level, uint8 [n, record size] each, from number `first` on.

    Any process may call it, in any order: `PartialFolder.advance` counts the records.
    """
    for path, level in zip(paths, records, strict=True):
        retried(functools.partial(_write_at, path, level, first * level.shape[1]), path)


def _write_at(path: str, records: np.ndarray, offset: int) -> None:
    rest = np.ascontiguousarray(records).reshape(-1).data
    descriptor = os.open(path, os.O_WRONLY | CAREFULLY)
    try:
        while rest:
            done = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[done:], offset + done
    finally:
        os.close(descriptor)


def sync_path(path: str) -> None:
    """Brings a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | CAREFULLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_size(path: str) -> int:
    """Bytes in a file; -1 if there is none."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    return -1
