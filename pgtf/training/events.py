"""TensorBoard events of a run: scalars and previews of the image grids.

A resumed run writes the ticks after its checkpoint again. TensorBoard would show them twice, so
they are cut off the existing files first.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from pgtf import files
from pgtf.dataset.tfrecords import FOOTER, HEADER
from pgtf.events import Events
from pgtf.training.state import TrainingState
from pgtf.training.ticks import Tick

PICTURE = "fakes"
_FILES = "events.out.tfevents.*"
# Files of this package begin with one of these tags or prefixes. Other files are left alone.
_FIRST_TAGS = ("tick", PICTURE)
_METRICS = "metrics/"


class TensorBoard:
    """Writes scalars and previews of image grids as TensorBoard events."""

    def __init__(self, folder: Path, cur_nimg: int) -> None:
        """Cuts the events after `cur_nimg`, because the run will write them again."""
        self._begin_nimg, self._begin_tags = cur_nimg, cut(folder, cur_nimg)
        self._events = Events(folder)

    def __call__(self, tick: Tick, state: TrainingState, final: bool) -> None:
        self._events.scalars(tick.as_line(), state.progress.cur_nimg)

    def picture(self, picture: np.ndarray, cur_nimg: int) -> None:
        """Adds one picture, uint8 [H, W, 1 or 3], unless a killed process has written it."""
        if cur_nimg == self._begin_nimg and PICTURE in self._begin_tags:
            return
        self._events.image(PICTURE, picture, cur_nimg)


def cut(folder: Path, nimg: int) -> set[str]:
    """Ends every event file of a run before its first record after `nimg`, or a torn one.

    Links and the files of other programs stay as they are.

    Args:
        folder: run folder.
        nimg: images shown at the checkpoint from which the run continues.

    Returns:
        The tags of the events at `nimg`.
    """
    tags: set[str] = set()
    for path in sorted(folder.glob(_FILES)):
        if path.is_symlink() or not path.is_file():
            continue
        tags |= files.retried(functools.partial(_cut, path, nimg), path)
    return tags


def _cut(path: Path, nimg: int) -> set[str]:
    """Cuts one file. Returns its tags at `nimg`."""
    with files.open_no_link(path, "rb+") as file:
        size, tags = _examine(file, nimg)
        if size is not None:
            file.truncate(size)
            os.fsync(file.fileno())
    return tags


def _examine(file: IO[bytes], nimg: int) -> tuple[int | None, set[str]]:
    """Returns the size to which to cut a file, None to leave it; and its tags at `nimg`."""
    at_nimg: set[str] = set()
    is_known = False
    for start, event in _events(file):
        if event is None:
            return start, at_nimg
        tags = {value.tag for value in event.summary.value}
        if tags and not is_known:
            if not any(tag in _FIRST_TAGS or tag.startswith(_METRICS) for tag in tags):
                return None, set()
            is_known = True
        if tags and event.step > nimg:
            return start, at_nimg
        if event.step == nimg:
            at_nimg |= tags
    return None, at_nimg


def _events(file: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """Yields (offset, tf.compat.v1.Event) for each record; ends with None for a torn one."""
    size, start = os.fstat(file.fileno()).st_size, 0
    while start < size:
        header = file.read(HEADER)
        length = int.from_bytes(header[:8], "little")
        end = start + HEADER + length + FOOTER
        event = None
        if len(header) == HEADER and end <= size:
            with contextlib.suppress(DecodeError):
                event = tf.compat.v1.Event.FromString(file.read(length))
        # Every event has a time; zeros are what a crash of the machine leaves.
        if event is None or not event.wall_time:
            yield start, None
            return
        yield start, event
        start = end
        file.seek(start)
