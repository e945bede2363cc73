"""Exclusive use of a run folder, and of the folder that holds all runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from absl import logging

from pgtf import files
from pgtf.runs.run_folder import CHECKPOINT_FOLDER, PROFILE_FOLDER

LOCK_FILE = "lock"  # empty; locked while a process trains in the folder
# Files of a run while they are written: NAME.<process>.tmp, and NAME.h5.tmp of earlier versions.
_UNFINISHED = re.compile(
    r"((config|identity)\.json|(stats|metric-.+)\.jsonl|(reals|fakes\d+|metrics)\.png"
    r"|(network-snapshot-\d+|checkpoint-\d+|best-.+)\.h5)\.\d+\.tmp"
    r"|(network-snapshot|checkpoint)-\d+\.h5\.tmp"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Context manager that keeps other processes from training in the same folder.

    First removes the unfinished files of a killed process.

    Raises:
        ValueError: if another process is training in the folder.
        OSError: with a remedy, if the disk fills up meanwhile.
    """
    _refuse_links(folder)
    with files.open_no_link(folder / LOCK_FILE, "a") as file:
        try:
            # The lock ends with the process, even if that is killed.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder}: another process is training in this folder. Wait for it, stop it, or "
                "start another run with --new."
            ) from None
        except OSError as error:
            logging.warning(
                "%s: this file system has no locks (%s), so two commands that train in the same "
                "folder at once cannot be noticed. Start only one.",
                folder,
                error.strerror,
            )
        for unfinished in (*folder.glob("*.tmp"), *folder.glob(f"{CHECKPOINT_FOLDER}/*.tmp")):
            if _UNFINISHED.fullmatch(unfinished.name) and not unfinished.is_dir():
                files.retried(functools.partial(unfinished.unlink, missing_ok=True), unfinished)
        with _full_disk_reported(folder):
            yield


@contextlib.contextmanager
def exclusive(outdir: str | os.PathLike[str]) -> Iterator[None]:
    """Context manager that lets one process at a time search a folder for runs or number one."""
    descriptor = files.retried(lambda: os.open(outdir, os.O_RDONLY), outdir)
    try:
        with contextlib.suppress(OSError):  # The file system may have no locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _full_disk_reported(folder: Path) -> Iterator[None]:
    """Context manager that turns the errors of a full disk into one that names the remedy."""
    try:
        yield
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        # TensorFlow, which writes the events, has an exception of its own.
        reason = error.strerror if isinstance(error, OSError) else error.message
        is_full = isinstance(error, OSError) and error.errno in _FULL
        if not is_full and os.strerror(errno.ENOSPC) not in str(reason):
            raise
        raise OSError(
            f"{folder}: the disk is full, or a quota ({reason}). What was written "
            "before is whole. Make room and run the same command again: it continues."
        ) from error


def _refuse_links(folder: Path) -> None:
    """Raises ValueError if a folder that a run writes into is a link, and leads elsewhere."""
    profile = folder / PROFILE_FOLDER
    for path in (folder / CHECKPOINT_FOLDER, profile, *profile.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path}: must be a folder of its own to be written into, not a link.")
