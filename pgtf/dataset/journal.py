"""progress.jsonl: the job that fills a folder, the names of its files, and its checkpoints.

The first line names the job and its files. Every other line is a checkpoint. A crash may leave a
last line without a line break, which is dropped. Other damage is an error: a guess could lose hours
of work.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pgtf.foreign import numbers
from pgtf.foreign.json_files import parse_json

JOURNAL = "progress.jsonl"
MAX_BYTES = 1 << 30  # millions of rejected items
# Flags for names that somebody else may have used: follow no link, do not wait for a pipe.
CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Progress of a job, once the data that it counts are on the disk."""

    items: int = 0  # consumed so far
    records: int = 0  # written so far
    # Items rejected since the previous checkpoint: number -> (name, reason).
    rejected: Mapping[int, tuple[str, str]] = dataclasses.field(default_factory=dict)
    num_rejected: int = 0  # rejected so far


class Journal:
    """An open journal, locked against other processes where the file system can.

    Attributes:
        job: the job that wrote it; None = the journal is empty.
        files: names of the files that this job writes in the folder.
        checkpoints: oldest first.
    """

    def __init__(self, folder: str):
        """Opens the journal of a folder, or creates it.

        Raises:
            OSError: another process has it open, or it cannot be read.
            ValueError: it is damaged.
        """
        self.job: Any = None
        self.files: tuple[str, ...] = ()
        self.checkpoints: list[Checkpoint] = []
        self._ends: list[int] = []  # offset of the end of each line
        self._folder = folder
        self._file = open(
            os.path.join(folder, JOURNAL),
            "a+b",
            buffering=0,  # On a full disk, closing a buffer would raise another error.
            opener=lambda path, flags: os.open(path, flags | CAREFULLY, 0o666),
        )
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def begin(self, job: Any, files: Sequence[str]) -> None:
        """Empties the journal and names the job."""
        self._file.truncate(0)
        self._append({"job": job, "files": list(files)})
        self.files = tuple(files)

    def add(self, checkpoint: Checkpoint) -> None:
        """Appends a checkpoint and syncs it."""
        self._append(
            {
                "items": checkpoint.items,
                "records": checkpoint.records,
                "rejected": [[item, *why] for item, why in checkpoint.rejected.items()],
            }
        )

    def keep(self, num_checkpoints: int) -> None:
        """Deletes all but the first `num_checkpoints` checkpoints."""
        del self.checkpoints[num_checkpoints:]
        self._file.truncate(self._ends[num_checkpoints])

    def close(self) -> None:
        """Closes and unlocks the journal."""
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(f"{self._folder}: another process is writing it.") from None
        except OSError as error:
            from absl import logging

            logging.warning(
                "%s: this file system has no locks (%s), so two commands that write the same "
                "dataset at once cannot be noticed. Start only one.",
                self._folder,
                error.strerror,
            )

    def _append(self, content: Mapping[str, Any]) -> None:
        data = json.dumps(content).encode() + b"\n"
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def _read(self) -> None:
        self._file.seek(0)
        if (size := os.fstat(self._file.fileno()).st_size) > MAX_BYTES:
            raise ValueError(
                f"{self._folder}: {JOURNAL} must have at most {MAX_BYTES} bytes. Received: {size}."
            )
        *lines, cut = self._file.readall().split(b"\n")
        if cut and not lines:
            raise ValueError(self._damage(1))
        end = 0
        for number, line in enumerate(lines, 1):
            try:
                content = parse_json(line, "")
                if number == 1:
                    self.job, self.files = _first_line(content)
                else:
                    before = self.checkpoints[-1] if self.checkpoints else Checkpoint()
                    self.checkpoints.append(_checkpoint(content, before))
            except ValueError:
                raise ValueError(self._damage(number)) from None
            end += len(line) + 1
            self._ends.append(end)

    def _damage(self, number: int) -> str:
        remedy = "Restore it, or delete the folder."
        if number > 2:
            remedy = (
                "Delete the lines from there on to continue from the one before with --resume, "
                "or delete the folder."
            )
        what = "does not name a job" if number == 1 else "is damaged"
        return f"{self._folder}: line {number} of {JOURNAL} {what}. {remedy}"


def _first_line(content: Any) -> tuple[Any, tuple[str, ...]]:
    """Returns the job and the names of its files; ValueError if this is not a first line."""
    if not isinstance(content, dict) or not isinstance(content.get("job"), dict):
        raise ValueError
    files = content.get("files", [])
    if not isinstance(files, list) or not all(_is_name(name) for name in files):
        raise ValueError
    return content["job"], tuple(files)


def _is_name(name: Any) -> bool:
    """True if this names a file in the folder itself, and not a path to another place."""
    return isinstance(name, str) and name not in ("", ".", "..", JOURNAL) and "/" not in name


def _checkpoint(content: Any, before: Checkpoint) -> Checkpoint:
    """Returns the checkpoint that follows `before`; ValueError if it cannot be one."""
    if not isinstance(content, dict):
        raise ValueError
    items, records, entries = (content.get(name) for name in ("items", "records", "rejected"))
    items, records = numbers.integer(items, 0), numbers.integer(records, 0)
    if items is None or records is None or not isinstance(entries, list):
        raise ValueError
    rejected = {}
    for entry in entries:
        if not isinstance(entry, list) or [type(value) for value in entry] != [int, str, str]:
            raise ValueError
        rejected[entry[0]] = (entry[1], entry[2])
    num_rejected = before.num_rejected + len(rejected)
    if (
        len(rejected) != len(entries)
        or any(not before.items <= item < items for item in rejected)
        or items < before.items
        or not before.records <= records <= items
        or items - records > num_rejected  # an item becomes a record, or is rejected
    ):
        raise ValueError
    return Checkpoint(items, records, rejected, num_rejected)
