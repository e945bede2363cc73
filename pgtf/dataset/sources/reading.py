"""Reads the files of a source: one that cannot be used is rejected, one that may be is not lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from pgtf.dataset.encoder import Rejected
from pgtf.files import PASSING, retried
from pgtf.foreign.pictures import reason

T = TypeVar("T")


def look_at(path: str, look: Callable[[], T]) -> T | None:
    """Calls `look`, again where a disk wavers; None for a file whose conversion will reject it.

    Raises:
        OSError: the disk does not recover.
    """
    try:
        return retried(look, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
    except ValueError:
        pass
    return None


def read_or_reject(path: str, read: Callable[[], np.ndarray]) -> np.ndarray | Rejected:
    """Calls `read`, again where a disk wavers, and returns its image or the reason for none.

    Raises:
        OSError: the disk does not recover: the file may be whole, so it is not rejected.
    """
    try:
        return retried(read, path)
    except OSError as error:
        if error.errno in PASSING:
            raise
        return Rejected(path, reason(error))
    except ValueError as error:
        return Rejected(path, reason(error))
