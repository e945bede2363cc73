"""Reads the files of a source: one that cannot be used is rejected, one that may be is not lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pgtf.dataset.encoder import Rejected
from pgtf.files import PASSING, retried
from pgtf.foreign.pictures import reason

T = TypeVar("T")


def look_at(path: str, look: Callable[[], T]) -> T | None:
    """Calls `look`, again where a disk wavers; None for a file whose conversion will reject it.

    Raises:
        OSError: the disk does not recover.
    """
    found = read_or_reject(path, look)
    return None if isinstance(found, Rejected) else found


def read_or_refuse(path: str, read: Callable[[], T], remedy: str = "") -> T:
    """Calls `read`, again where a disk wavers, for callers that need every file.

    Raises:
        ValueError: the file cannot be used: its name, the reason, and the remedy unless the reason
            names a flag.
        OSError: the disk does not recover.
    """
    try:
        return retried(read, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        what = _reason(error, path)
    except ValueError as error:
        what = _reason(error, path)
    names_flag = "; --" in what
    raise ValueError(f"{path}: {what.rstrip('.')}. {'' if names_flag else remedy}".rstrip())


def read_or_reject(path: str, read: Callable[[], T], part: str = "") -> T | Rejected:
    """Calls `read`, again where a disk wavers, and returns its result or the reason for none.

    Args:
        path: the file.
        read: reads it; may be called again.
        part: what is read of it, for the name of a rejected one.

    Raises:
        OSError: the disk does not recover: the file may be whole, so it is not rejected.
    """
    try:
        return retried(read, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return Rejected(path + part, _reason(error, path))
    except ValueError as error:
        return Rejected(path + part, _reason(error, path))


def _reason(error: Exception, path: str) -> str:
    return reason(error).removeprefix(f"{path}: ")
