"""A dataset folder in the making: it appears whole under its name, or stays NAME.partial.

The record files grow together. Every few seconds they are synced, and a line in progress.jsonl says
how many items went into how many records, so that an interrupted job can go on from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

SUFFIX = ".partial"
JOURNAL = "progress.jsonl"
CHECKPOINT_SECONDS = 5.0


class PartialFolder:
    """The files of a new dataset folder, and how far they are good; a context manager.

    Left by an exception, it keeps what was synced for `resume`, or deletes itself if nothing was.

    Attributes:
        path: where the files are until `publish`.
        num_items: items consumed so far, those of an interrupted job included.
        num_records: records written so far.
        record_paths: the files that they are written to.
        rejected: item number -> (name, reason).
    """

    def __init__(
        self, target: str, record_sizes: Mapping[str, int], job: Mapping[str, Any], resume: bool
    ):
        """Creates the folder, or goes back to the last line of its journal.

        Args:
            target: name of the folder when complete; must not exist.
            record_sizes: file name -> bytes of each of its records.
            job: what tells this job from another, JSON.
            resume: continue an interrupted job, if there is one.

        Raises:
            OSError: the target exists, or an interrupted job and not `resume`.
            ValueError: the interrupted job was another one.
        """
        self.path = target + SUFFIX
        self.num_items = self.num_records = 0
        self.rejected: dict[int, tuple[str, str]] = {}
        self._target = target
        self._record_sizes = dict(record_sizes)
        self._unsaved: dict[int, tuple[str, str]] = {}
        self._synced_records = 0
        self._synced_at = time.monotonic()
        self._syncing: Future[None] | None = None
        self._syncer = ThreadPoolExecutor(1)  # a thread: work goes on while the disk is busy
        if os.path.lexists(target):
            raise FileExistsError(f"{target}: exists already. Delete it or choose another name.")
        os.makedirs(self.path, exist_ok=True)
        # Without a buffer: closing one that a full disk did not take would be another error.
        self._journal = open(os.path.join(self.path, JOURNAL), "a+b", buffering=0)
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._journal.close()
            raise FileExistsError(f"{self.path}: another process is writing it.") from None
        try:
            self._go_back(json.loads(json.dumps(job)), resume)
        except BaseException:
            self._journal.close()
            raise
        self.record_paths = tuple(os.path.join(self.path, name) for name in self._record_sizes)
        self._files = [open(path, "ab") for path in self.record_paths]

    def refuse(self, rejected: Mapping[int, tuple[str, str]], max_errors: int | None) -> None:
        """Raises ValueError if these rejections are too many with those before them.

        Args:
            rejected: place among the next items -> (name, reason).
            max_errors: how many items may be rejected in all; None = any number.
        """
        if max_errors is not None and len(self.rejected) + len(rejected) > max_errors:
            name, reason = list(rejected.values())[max_errors - len(self.rejected)]
            number = f" (error {max_errors + 1})" if max_errors else ""
            raise ValueError(f"{name}: {reason}{number}")

    def advance(
        self, num_records: int, num_items: int, rejected: Mapping[int, tuple[str, str]]
    ) -> None:
        """Notes what became of the next items, after `write_records`.

        Args:
            num_records: how many records were written.
            num_items: how many items they were made of.
            rejected: place among these items -> (name, reason).
        """
        for place, why in rejected.items():
            self._unsaved[self.num_items + place] = self.rejected[self.num_items + place] = why
        self.num_items += num_items
        self.num_records += num_records
        is_idle = self._syncing is None or self._syncing.done()
        if is_idle and time.monotonic() - self._synced_at > CHECKPOINT_SECONDS:
            self._begin_sync()

    def discard(self) -> None:
        """Deletes the folder, whose content is of use no more."""
        self._end_sync()
        shutil.rmtree(self.path)

    def publish(self) -> None:
        """Renames the complete folder to its target."""
        self._begin_sync()
        self._end_sync()
        for name in os.listdir(self.path):
            _sync_path(os.path.join(self.path, name))
        os.rename(self.path, self._target)
        os.unlink(os.path.join(self._target, JOURNAL))
        _sync_path(self._target)
        _sync_path(os.path.dirname(os.path.abspath(self._target)))

    def __enter__(self) -> PartialFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # of a full disk, say: the last good line counts
            self._end_sync()
            if kind is not None and self._synced_records:
                self._begin_sync()
                self._end_sync()
        self._syncer.shutdown()
        for file in self._files:
            file.close()
        if kind is not None and not self._synced_records:
            shutil.rmtree(self.path, ignore_errors=True)
        self._journal.close()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            # A full disk is met anywhere, and Python names no file then.
            raise OSError(error.errno, error.strerror, self.path) from error

    def _begin_sync(self) -> None:
        """Has what is written so far brought to the disk, and noted in the journal."""
        self._end_sync()
        line = {
            "items": self.num_items,
            "records": self.num_records,
            "rejected": [[item, *why] for item, why in self._unsaved.items()],
        }
        self._unsaved = {}
        self._synced_at = time.monotonic()
        self._syncing = self._syncer.submit(self._sync, line)

    def _end_sync(self) -> None:
        """Waits until that is done, and raises what went wrong."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _sync(self, line: Mapping[str, Any]) -> None:
        for file in self._files:
            os.fsync(file.fileno())
        self._append_line(line)
        self._synced_records = line["records"]

    def _append_line(self, content: Mapping[str, Any]) -> None:
        data = json.dumps(content).encode() + b"\n"
        while data:
            data = data[self._journal.write(data) :]
        os.fsync(self._journal.fileno())

    def _go_back(self, job: Any, resume: bool) -> None:
        """Restores the state of the journal's last good line and cuts the files to it."""
        lines = _complete_lines(self._journal)
        checkpoints = [line for line in lines[1:] if self._is_on_disk(line)]
        if not checkpoints:  # nothing to lose
            for name in os.listdir(self.path):
                if os.path.isdir(path := os.path.join(self.path, name)):
                    shutil.rmtree(path)
                elif name != JOURNAL:
                    os.unlink(path)
            self._journal.truncate(0)
            self._append_line({"job": job})
            return
        if not resume:
            raise FileExistsError(
                f"{self.path}: an interrupted job left it. Add --resume to continue, or delete it."
            )
        if lines[0].get("job") != job:
            raise ValueError(
                f"{self.path}: the interrupted job was another one: {json.dumps(lines[0]['job'])}. "
                "Repeat its arguments, or delete the folder."
            )
        for line in checkpoints:
            self.rejected.update({item: (name, why) for item, name, why in line["rejected"]})
        self.num_items, self.num_records = checkpoints[-1]["items"], checkpoints[-1]["records"]
        self._synced_records = self.num_records
        for name, size in self._record_sizes.items():
            os.truncate(os.path.join(self.path, name), self.num_records * size)

    def _is_on_disk(self, line: Mapping[str, Any]) -> bool:
        with contextlib.suppress(OSError):
            return all(
                os.path.getsize(os.path.join(self.path, name)) >= line["records"] * size
                for name, size in self._record_sizes.items()
            )
        return False


def _complete_lines(journal: io.FileIO) -> list[dict[str, Any]]:
    """The lines of a journal; one that a crash cut is removed, with what is behind it."""
    lines, size = [], 0
    journal.seek(0)
    content = journal.readall()
    for line in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
        size += len(line)
    journal.truncate(size)
    return lines


def write_records(paths: Sequence[str], records: Sequence[np.ndarray], first: int) -> None:
    """Writes the records of every level, uint8 [n, record size], as numbers `first` and following.

    Any process may do so, in any order; the folder counts them when it is told.
    """
    for path, level in zip(paths, records, strict=True):
        offset = first * level.shape[1]
        rest = np.ascontiguousarray(level).reshape(-1).data
        descriptor = os.open(path, os.O_WRONLY)
        try:
            while rest:
                done = os.pwrite(descriptor, rest, offset)
                rest, offset = rest[done:], offset + done
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)


def _sync_path(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
