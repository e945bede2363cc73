"""Files that the page of `explore` shows: in a folder of its own, the newest ones only."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "pgtf-explore-"
LOCK = "lock"
MIN_AGE_SEC = 60  # a younger folder may be one whose process has not locked it yet
KEPT = 256  # pictures and downloads; one page shows about forty
VARIABLE = "GRADIO_TEMP_DIR"  # gradio reads it whenever it writes a picture


class ShownFiles:
    """A temporary folder that only this user can read, with one part for gradio and one for us.

    It is deleted by `remove`, at the exit of the process, or, if that was killed, by the next one.
    """

    def __init__(self) -> None:
        _remove_left_ones()
        self._root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock: int | None = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(OSError):  # The file system may have no locks.
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._downloads, self._shown = self._root / "downloads", self._root / "shown"
        self._downloads.mkdir()
        self._shown.mkdir()
        self._before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(self._shown)
        atexit.register(self.remove)

    def download(self, name: str) -> Path:
        """Returns a path for a file to download. gradio copies it when the event ends."""
        for copy in self._shown.glob(f"*/{name}"):  # It would use an equal copy as it is.
            with contextlib.suppress(FileNotFoundError):
                os.utime(copy)
        return self._downloads / name

    def trim(self) -> None:
        """Deletes all but the newest files."""
        for folder in (self._downloads, self._shown):
            found = sorted(_files(folder), reverse=True)
            for _, path in found[KEPT:]:
                with contextlib.suppress(OSError):  # Another event may have deleted it.
                    path.unlink()
                    if path.parent != folder:
                        path.parent.rmdir()

    def remove(self) -> None:
        """Deletes the folder. May be called again, if an event that was running has written."""
        shutil.rmtree(self._root, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if os.environ.get(VARIABLE) == str(self._shown):
            os.environ.pop(VARIABLE)
            if self._before is not None:
                os.environ[VARIABLE] = self._before


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yields the time and the path of every file in a folder and the folders in it."""
    for path in (*folder.glob("*"), *folder.glob("*/*")):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_mtime_ns, path


def _remove_left_ones() -> None:
    """Deletes folders of processes that were killed."""
    for root in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = root.lstat()
            is_folder = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if not is_folder or time.time() - status.st_mtime < MIN_AGE_SEC:
                continue
            lock = os.open(root / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if stat.S_ISREG(os.fstat(lock).st_mode):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(root, ignore_errors=True)
            finally:
                os.close(lock)
