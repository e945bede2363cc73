"""Values from files of others: short descriptions for messages, and JSON of limited depth."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

MAX_DEPTH = 64  # of lists and objects in JSON; a configuration has 3
_MAX_SHOWN = 80  # characters of a value, and lines of a list, in a message


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
    rest = len(texts) - _MAX_SHOWN
    return separator.join(texts[:_MAX_SHOWN]) + (f"{separator}{rest} more" if rest > 0 else "")


def parse_json_object(text: Any) -> dict[str, Any] | None:
    """Parses the text of a JSON object; None if it is something else or too deep."""
    if not isinstance(text, str):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_shallow(value) else None


def _is_shallow(value: Any) -> bool:
    """True unless lists and objects are nested more than MAX_DEPTH deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for item in level
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, dict | list)
        ]
    return not level
