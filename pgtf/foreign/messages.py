"""Short descriptions of values from files of others, for messages."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

_MAX_SHOWN = 80  # characters of a value in a message
_MAX_JOINED = 1000  # characters of many texts in one


def shown(value: Any) -> str:
    """Describes a value: numbers and short text as they are, anything else by its type.

    It never takes long, because nothing inside of lists, dicts and arrays is looked at.
    """
    if value is None or isinstance(value, bool | int | float | np.generic):
        return str(value)[:_MAX_SHOWN]
    if isinstance(value, str):
        return repr(value[:_MAX_SHOWN]) + ("..." if len(value) > _MAX_SHOWN else "")
    return type(value).__name__


def plain(text: Any) -> str:
    """Returns a name for a message: as it is if it is short and printable, else as `shown`."""
    is_plain = isinstance(text, str) and text.isprintable() and len(text) <= _MAX_SHOWN
    return text if is_plain else shown(text)


def joined(texts: Iterable[str], separator: str = ", ") -> str:
    """Joins the first of many texts, and counts the rest."""
    texts = list(texts)
    ends = itertools.accumulate(len(text) + len(separator) for text in texts)
    num = max(sum(end <= _MAX_JOINED for end in ends), 1)
    rest = len(texts) - num
    return separator.join(texts[:num]) + (f"{separator}{rest} more" if rest > 0 else "")
