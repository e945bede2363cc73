"""Words of messages: counts with the right plural, times in the unit that fits, paths meant."""

from __future__ import annotations

import difflib
import itertools
import os

MAX_NAMES = 1000  # of a folder that are compared with a misspelled one


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Formats a count: 1, "image" -> "1 image"; 3, "image" -> "3 images".

    Args:
        number: the count.
        noun: the thing counted.
        plural: its plural; None = `noun` with an s.
    """
    word = noun if number == 1 else plural or f"{noun}s"
    return f"{number} {word}"


def duration(seconds: float) -> str:
    """Formats a time: 8.4 -> "8 s", 500 -> "8 min", 9000 -> "2 h 30 min", 1e6 -> "11 d 14 h"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 1:
        return f"{round(seconds)} s"
    if hours >= 24:
        return _two(*divmod(hours, 24), "d", "h")
    return _two(*divmod(minutes, 60), "h", "min")


def _two(large: int, small: int, *units: str) -> str:
    """Leaves out a unit of which there is none: 2, 0, "h", "min" -> "2 h"."""
    pairs = zip((large, small), units, strict=True)
    return " ".join(f"{number} {unit}" for number, unit in pairs if number)


def meant(path: str | os.PathLike[str], folders_only: bool = False) -> str:
    """Returns " Did you mean X?" for what lies where `path` should, with a similar name; else "".

    Args:
        path: path at which nothing is.
        folders_only: names folders and archives of one only.
    """
    folder, name = os.path.split(os.path.normpath(path))
    try:
        with os.scandir(folder or ".") as found:
            names = [
                entry.name
                for entry in itertools.islice(found, MAX_NAMES)
                if not folders_only or entry.is_dir() or entry.name.endswith(".zip")
            ]
    except (OSError, ValueError):  # A null character is no part of a path.
        return ""
    near = difflib.get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {os.path.join(folder, near[0])}?" if near else ""
