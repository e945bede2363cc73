"""Reads a pickle file, or the bytes of one; every failure is one line that names it."""

from __future__ import annotations

import os
from typing import Any

from pgtf.foreign.files import open_regular
from pgtf.foreign.pickles.instructions import DamagedError, PickleError
from pgtf.foreign.pickles.machine import Machine


def read_pickle(path: str | os.PathLike[str]) -> Any:
    """Reads a pickle of plain data, NumPy arrays and networks. Returns the object.

    Instances of `Network` become StoredNetwork; Python 2 strings are decoded as Latin-1.

    Raises:
        OSError: if the file cannot be read.
        ValueError: as `parse_pickle`; the message names the file.
    """
    with open_regular(path) as file:
        return parse_pickle(file.read(), path)


def parse_pickle(data: bytes, source: str | os.PathLike[str]) -> Any:
    """Reads the bytes of a pickle, as `read_pickle`.

    Memory and time are proportional to the number of bytes, whatever they say.

    Args:
        data: whole pickle.
        source: its name, for messages.

    Raises:
        ValueError: if it is no pickle, is damaged, or names anything else; the message names the
            source and the class. Nothing has been imported or called then.
    """
    try:
        return Machine(len(data)).run(data)
    except DamagedError as error:
        raise ValueError(f"{source}: not a pickle, or a damaged one ({error}).") from None
    except PickleError as error:
        raise ValueError(f"{source}: {error}") from None
