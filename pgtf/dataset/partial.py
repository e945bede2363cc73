"""A dataset folder in the making: it appears whole under its name, or stays NAME.partial.

The record files grow together. Every few seconds they are synced, and a line in progress.jsonl says
how many items went into how many records, so that an interrupted job can go on from there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np

from pgtf.dataset.journal import CAREFULLY, JOURNAL, Checkpoint, Journal
from pgtf.dataset.ownership import enter, refuse_existing, remove_files, remove_folder

SUFFIX = ".partial"
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
        self,
        target: str,
        record_sizes: Mapping[str, int],
        job: Mapping[str, Any],
        resume: bool,
        others: Sequence[str] = (),
    ):
        """Creates the folder, or goes back to the last line of its journal.

        Args:
            target: name of the folder when complete; must not exist.
            record_sizes: file name -> bytes of each of its records.
            job: what tells this job from another, JSON.
            resume: continue an interrupted job, if there is one.
            others: names of the other files that the caller makes in the folder. Those that exist
                at a checkpoint are synced with the records.

        Raises:
            OSError: the target exists, NAME.partial is not a job's, or an interrupted job and not
                `resume`.
            ValueError: the interrupted job was another one, or its journal is damaged.
        """
        self.path = target + SUFFIX
        self.num_items = self.num_records = 0
        self.rejected: dict[int, tuple[str, str]] = {}
        self._target = target
        self._record_sizes = dict(record_sizes)
        self._others = tuple(others)
        self._unsaved: dict[int, tuple[str, str]] = {}
        self._synced_records = 0
        self._synced_at = time.monotonic()
        self._syncing: Future[None] | None = None
        self._syncer = ThreadPoolExecutor(1)  # a thread: work goes on while the disk is busy
        self.record_paths = tuple(os.path.join(self.path, name) for name in self._record_sizes)
        self._files: list[int] = []  # descriptors
        refuse_existing(target)
        enter(self.path)
        self._journal = Journal(self.path)
        try:
            if self._journal.checkpoints:
                self._go_back(json.loads(json.dumps(job)), resume)
            else:
                self._begin(json.loads(json.dumps(job)))
        except BaseException:
            self._close()
            raise

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

    def save(self) -> None:
        """Brings the current state to the disk: a job that ends after this can be resumed."""
        self._begin_sync()
        self._end_sync()

    def discard(self) -> None:
        """Deletes the files, which are of use no more, and the folder with them."""
        self._end_sync()
        remove_folder(self.path, self._journal.files)

    def publish(self) -> None:
        """Renames the complete folder to its target."""
        self.save()
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
                self.save()
        if kind is not None and not self._synced_records:
            with contextlib.suppress(OSError):
                remove_folder(self.path, self._journal.files)
        self._close()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            # A full disk is met anywhere, and Python names no file then.
            raise OSError(error.errno, error.strerror, self.path) from error

    def _begin_sync(self) -> None:
        """Has what is written so far brought to the disk, and noted in the journal."""
        self._end_sync()
        checkpoint = Checkpoint(self.num_items, self.num_records, self._unsaved)
        self._unsaved = {}
        self._synced_at = time.monotonic()
        self._syncing = self._syncer.submit(self._sync, checkpoint)

    def _end_sync(self) -> None:
        """Waits until that is done, and raises what went wrong."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()

    def _sync(self, checkpoint: Checkpoint) -> None:
        for file in self._files:
            os.fsync(file)
        for name in self._others:
            with contextlib.suppress(FileNotFoundError):
                _sync_path(os.path.join(self.path, name))
        self._journal.add(checkpoint)
        self._synced_records = checkpoint.records

    def _begin(self, job: Any) -> None:
        """Deletes what a job left that never came to a checkpoint, and begins anew."""
        remove_files(self.path, self._journal.files)
        names = (*self._record_sizes, *self._others)
        try:
            self._journal.begin(job, names)
            self._journal.files = names
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFULLY
            self._files += [os.open(path, flags, 0o666) for path in self.record_paths]
            _sync_path(self.path)
            _sync_path(os.path.dirname(os.path.abspath(self.path)))
        except BaseException:
            with contextlib.suppress(OSError):
                remove_folder(self.path, names)
            raise

    def _go_back(self, job: Any, resume: bool) -> None:
        """Restores the last checkpoint that is on the disk, and cuts the files to it."""
        if not resume:
            raise FileExistsError(
                f"{self.path}: an interrupted job left it. Add --resume to continue, or delete it."
            )
        if self._journal.job != job:
            raise ValueError(
                f"{self.path}: the interrupted job was another one: "
                f"{json.dumps(self._journal.job)}. Repeat its arguments, or delete the folder."
            )
        good = list(itertools.takewhile(self._is_on_disk, self._journal.checkpoints))
        if not good:
            raise ValueError(
                f"{self.path}: its files hold less than {JOURNAL} says: {self._shortest()}. "
                "Restore it, or delete the folder."
            )
        for checkpoint in good:
            self.rejected.update(checkpoint.rejected)
        self.num_items, self.num_records = good[-1].items, good[-1].records
        self._synced_records = self.num_records
        self._files += [os.open(path, os.O_WRONLY | CAREFULLY) for path in self.record_paths]
        self._journal.keep(len(good))
        for file, size in zip(self._files, self._record_sizes.values(), strict=True):
            os.ftruncate(file, self.num_records * size)

    def _is_on_disk(self, checkpoint: Checkpoint) -> bool:
        return all(
            _file_size(path) >= checkpoint.records * size
            for path, size in zip(self.record_paths, self._record_sizes.values(), strict=True)
        )

    def _shortest(self) -> str:
        """Says which record file lacks most."""
        sizes = {path: _file_size(path) for path in self.record_paths}
        path = min(sizes, key=lambda path: sizes[path] / self._record_sizes[os.path.basename(path)])
        found = "is missing" if sizes[path] < 0 else f"has {sizes[path]} bytes"
        return f"{os.path.basename(path)} {found}"

    def _close(self) -> None:
        self._syncer.shutdown()
        for file in self._files:
            os.close(file)
        self._journal.close()


def _file_size(path: str) -> int:
    """Bytes in a file; -1 if there is none."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    return -1


def write_records(paths: Sequence[str], records: Sequence[np.ndarray], first: int) -> None:
    """Writes the records of every level, uint8 [n, record size], as numbers `first` and following.

    Any process may do so, in any order; the folder counts them when it is told.
    """
    for path, level in zip(paths, records, strict=True):
        offset = first * level.shape[1]
        rest = np.ascontiguousarray(level).reshape(-1).data
        descriptor = os.open(path, os.O_WRONLY | CAREFULLY)
        try:
            while rest:
                done = os.pwrite(descriptor, rest, offset)
                rest, offset = rest[done:], offset + done
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)


def _sync_path(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | CAREFULLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
