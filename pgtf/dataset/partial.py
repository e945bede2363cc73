"""A dataset folder in the making: it appears whole under its name, or stays NAME.partial.

The record files grow together. Every few seconds they are synced, and a line in progress.jsonl says
how many items went into how many records, so that an interrupted job can continue from there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pgtf.dataset.encoder import TooManyRejected
from pgtf.dataset.journal import JOURNAL, Checkpoint, Journal
from pgtf.dataset.ownership import enter, refuse_existing, remove_files, remove_folder
from pgtf.dataset.record_files import RecordFiles, sync_path
from pgtf.dataset.saver import Saver

SUFFIX = ".partial"
CHECKPOINT_SECONDS = 5.0
MAX_SHOWN = 1000  # characters of a job in a message


class PartialFolder:
    """The files of a new dataset folder and the progress of the job; a context manager.

    Left by an exception, it keeps what was synced for `resume`, or deletes itself if nothing was.

    Attributes:
        path: folder of the files until `publish`.
        num_items: items consumed so far, those of an interrupted job included.
        num_records: records written so far.
        record_paths: files for `record_files.write_records`.
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
            others: names of other files that may be written in the folder; each checkpoint syncs
                those that exist.

        Raises:
            OSError: the target exists, NAME.partial is not a job's, or `resume` is missing.
            ValueError: the interrupted job was another one, or its journal is damaged.
        """
        self.path = target + SUFFIX
        self.num_items = self.num_records = 0
        self.rejected: dict[int, tuple[str, str]] = {}
        self._target = target
        self._unsaved: dict[int, tuple[str, str]] = {}
        self._records = RecordFiles(self.path, record_sizes)
        self.record_paths = self._records.paths
        refuse_existing(target)
        enter(self.path)
        self._journal = Journal(self.path)
        self._saver = Saver(self.path, self._records, others, self._journal)
        try:
            as_stored = json.loads(json.dumps(job))
            if self._journal.checkpoints:
                self._go_back(as_stored, resume)
            else:
                self._begin(as_stored, (*self._records.names, *others))
        except BaseException:
            self._close()
            raise

    def refuse(self, rejected: Mapping[int, tuple[str, str]], max_errors: int | None) -> None:
        """Raises TooManyRejected if these rejections and the earlier ones exceed `max_errors`.

        Args:
            rejected: place among the next items -> (name, reason).
            max_errors: items that may be rejected in all; None = any number.
        """
        if max_errors is not None and len(self.rejected) + len(rejected) > max_errors:
            name, reason = list(rejected.values())[max_errors - len(self.rejected)]
            number = f" (error {max_errors + 1})" if max_errors else ""
            raise TooManyRejected(f"{name}: {reason}{number}")

    def advance(
        self, num_records: int, num_items: int, rejected: Mapping[int, tuple[str, str]]
    ) -> None:
        """Counts the next items, after their records were written.

        Args:
            num_records: records written.
            num_items: items consumed for them.
            rejected: place among these items -> (name, reason).
        """
        for place, why in rejected.items():
            self._unsaved[self.num_items + place] = self.rejected[self.num_items + place] = why
        self.num_items += num_items
        self.num_records += num_records
        if self._saver.is_due(CHECKPOINT_SECONDS):
            self._begin_save()

    def save(self) -> None:
        """Brings the current state to the disk: a job that ends after this can be resumed."""
        self._begin_save()
        self._saver.wait()

    def discard(self) -> None:
        """Deletes the files, and the folder if it holds nothing else."""
        self._saver.wait()
        remove_folder(self.path, self._journal.files)

    def publish(self) -> None:
        """Renames the complete folder to its target."""
        self.save()
        _publish(self.path, self._target)

    def __enter__(self) -> PartialFolder:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with contextlib.suppress(OSError):  # The disk may be full; the last good line counts.
            self._saver.wait()
            if error is not None and self._saver.num_records:
                self.save()
        if error is not None and not self._saver.num_records:
            with contextlib.suppress(OSError):
                remove_folder(self.path, self._journal.files)
        self._close()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            # Any write may find the disk full, and Python then names no file.
            raise OSError(error.errno, error.strerror, self.path) from error

    def _begin_save(self) -> None:
        self._saver.begin(Checkpoint(self.num_items, self.num_records, self._unsaved))
        self._unsaved = {}

    def _begin(self, job: Any, names: Sequence[str]) -> None:
        """Deletes the files of a job that saved no checkpoint, and begins anew."""
        remove_files(self.path, self._journal.files)
        try:
            self._journal.begin(job, names)
            self._records.create()
            sync_path(self.path)
            sync_path(_parent(self.path))
        except BaseException:
            with contextlib.suppress(OSError):
                remove_folder(self.path, names)
            raise

    def _go_back(self, job: Any, resume: bool) -> None:
        """Restores the last checkpoint that is on the disk, and cuts the files to it."""
        good = _checkpoints_on_disk(self.path, self._journal, self._records, job, resume)
        for checkpoint in good:
            self.rejected.update(checkpoint.rejected)
        self.num_items, self.num_records = good[-1].items, good[-1].records
        self._saver.num_records = self.num_records
        self._records.open()
        self._journal.keep(len(good))
        self._records.truncate(self.num_records)

    def _close(self) -> None:
        self._saver.close()
        self._records.close()
        self._journal.close()


def _publish(path: str, target: str) -> None:
    """Syncs everything in a folder, renames it, and deletes its journal."""
    for name in os.listdir(path):
        sync_path(os.path.join(path, name))
    os.rename(path, target)
    os.unlink(os.path.join(target, JOURNAL))
    sync_path(target)
    sync_path(_parent(target))


def _parent(path: str) -> str:
    """Returns the folder that holds `path`. Users may keep datasets behind a link to a disk."""
    return os.path.realpath(os.path.dirname(path) or ".")


def _checkpoints_on_disk(
    path: str, journal: Journal, records: RecordFiles, job: Any, resume: bool
) -> list[Checkpoint]:
    """Checkpoints whose records the files hold, oldest first; refuses what cannot be continued."""
    if not resume:
        raise FileExistsError(
            f"{path}: an interrupted job left it. Add --resume to continue, or delete it."
        )
    if journal.job != job:
        raise ValueError(
            f"{path}: the interrupted job was another one: "
            f"{_shown(journal.job)}. Repeat its arguments, or delete the folder."
        )
    good = list(itertools.takewhile(lambda x: records.hold(x.records), journal.checkpoints))
    if not good:
        raise ValueError(
            f"{path}: its files hold less than {JOURNAL} says: {records.describe_shortest()}. "
            "Restore it, or delete the folder."
        )
    return good


def _shown(job: Any) -> str:
    """Shows a job in a line: a damaged journal may hold anything."""
    text = json.dumps(job)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
