"""Checkpoints of a folder in the making, saved by a thread while the job goes on."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pgtf.dataset.journal import Checkpoint, Journal
from pgtf.dataset.record_files import RecordFiles, sync_path


class Saver:
    """Syncs the data first, then adds the line to the journal that counts them.

    Attributes:
        num_records: records in the last checkpoint that is on the disk.
    """

    def __init__(self, folder: str, records: RecordFiles, others: Sequence[str], journal: Journal):
        """Takes the files to sync; `others` are names in the folder that need not exist yet."""
        self.num_records = 0
        self._records = records
        self._others = [os.path.join(folder, name) for name in others]
        self._journal = journal
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self._begun_at = time.monotonic()

    def is_due(self, seconds: float) -> bool:
        """True if nothing is being saved and the last save began more than `seconds` ago."""
        is_idle = self._running is None or self._running.done()
        return is_idle and time.monotonic() - self._begun_at > seconds

    def begin(self, checkpoint: Checkpoint) -> None:
        """Starts saving a checkpoint, after the previous one is done."""
        self.wait()
        self._begun_at = time.monotonic()
        self._running = self._thread.submit(self._save, checkpoint)

    def wait(self) -> None:
        """Waits until the checkpoint is saved; raises the error if saving it failed."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _save(self, checkpoint: Checkpoint) -> None:
        self._records.sync()
        for path in self._others:
            with contextlib.suppress(FileNotFoundError):
                sync_path(path)
        self._journal.add(checkpoint)
        self.num_records = checkpoint.records
