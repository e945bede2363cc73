"""The levels of a dataset folder: one record file per resolution."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pgtf.dataset.absence import RECORDS_NAME, NoDataset
from pgtf.dataset.description import dtype_of, grid_of
from pgtf.dataset.tfrecords import RecordFile, open_records
from pgtf.grids import MIN_RESOLUTION_LOG2


def open_levels(path: str, names: Sequence[str], meta: Mapping[str, Any]) -> dict[int, RecordFile]:
    """Opens all levels of a dataset folder and checks that they belong together.

    Args:
        path: folder.
        names: files in it.
        meta: content of its dataset.json.

    Returns:
        The files by level, from the grid to the finest.

    Raises:
        OSError: a file cannot be read.
        NoDataset: the folder holds no record file.
        ValueError: a level is missing, or a file is foreign or of the wrong length.
    """
    matches = [match for name in sorted(names) if (match := RECORDS_NAME.fullmatch(name))]
    if not matches:
        raise NoDataset(path)
    if len(basenames := {match["name"] for match in matches}) > 1:
        raise ValueError(f"{path}: must hold one dataset. Received: {sorted(basenames)}.")
    dtype, channels, grid = dtype_of(meta), meta.get("channels"), grid_of(meta)
    files = {
        int(match["log2"]): open_records(f"{path}/{match[0]}", dtype, channels) for match in matches
    }
    top = files[max(files)]
    for log2 in range(MIN_RESOLUTION_LOG2, max(files) + 1):
        name = f"{matches[0]['name']}-r{log2:02d}.tfrecords"
        if log2 not in files:
            raise ValueError(
                f"{path}: the file of resolution {1 << log2}, {name}, is missing. "
                "Restore it or create the dataset anew."
            )
        expected = (top.shape[0], *grid.size_at(log2))
        if files[log2].shape != expected:
            raise ValueError(
                f"{files[log2].path} record 0 (offset 0): must have shape {list(expected)}. "
                f"Received: {list(files[log2].shape)}."
            )
        if files[log2].num_records != top.num_records:
            raise ValueError(
                f"{files[log2].path}: must hold as many records as {os.path.basename(top.path)}. "
                f"Received: {files[log2].num_records}, not {top.num_records}. "
                f"{_end_of_shorter(files[log2], top)}; restore it or create the dataset anew."
            )
    return {log2: files[log2] for log2 in sorted(files) if log2 >= MIN_RESOLUTION_LOG2}


def _end_of_shorter(*files: RecordFile) -> str:
    """Describes the end of the file with the fewest records."""
    shorter = min(files, key=lambda file: file.num_records)
    offset = shorter.num_records * shorter.record_size
    return f"{shorter.path} ends at record {shorter.num_records} (offset {offset})"


def level_of(path: str, resolution: int | None, files: Mapping[int, RecordFile]) -> int:
    """Returns the level that a resolution names; None = the finest.

    Raises:
        ValueError: there is no such level; the message lists those of `path`.
    """
    if resolution is None:
        return max(files)
    levels = {1 << log2: log2 for log2 in files}
    if resolution not in levels:
        raise ValueError(
            f"`resolution` must be one of those in {path}: {sorted(levels)}. "
            f"Received: resolution={resolution}."
        )
    return levels[resolution]
