"""JSON that others wrote: of bounded size and depth, without NaN, one value per key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from pgtf.foreign.files import PathLike, read_bytes

MAX_BYTES = 1 << 28  # A million labels of a hundred numbers fit.
MAX_DEPTH = 64  # lists and objects inside each other; code that walks them may be recursive

Pairs = list[tuple[str, Any]]


def unique_keys(pairs: Pairs) -> dict[str, Any]:
    """Makes a dictionary of the members of an object; ValueError if a key has two values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise ValueError(f"two values for the key {key[:80]!r}")
    return found


def read_json(
    path: PathLike,
    *,
    max_bytes: int = MAX_BYTES,
    make_object: Callable[[Pairs], Any] = unique_keys,
    allow_nan: bool = False,
) -> Any:
    """Reads a JSON file; see `parse_json`.

    Raises:
        ValueError: the file is too large or not JSON; the message begins with its name.
        OSError: it cannot be read.
    """
    source = os.fspath(path)
    try:
        content = read_bytes(path, max_bytes)
    except ValueError as error:
        what = str(error).removeprefix(f"{source}: ").rstrip(".")
        raise ValueError(f"{source}: not JSON ({what}).") from None
    return parse_json(content, source, make_object=make_object, allow_nan=allow_nan)


def parse_json(
    content: bytes | str,
    source: str,
    *,
    make_object: Callable[[Pairs], Any] = unique_keys,
    allow_nan: bool = False,
) -> Any:
    """Parses JSON in UTF-8, with or without a byte order mark.

    Integers may have thousands of digits: a caller that converts them must expect OverflowError.

    Args:
        content: the JSON text.
        source: name of the file, and the line if it has several.
        make_object: makes the result for an object of its (key, value) pairs.
        allow_nan: accept NaN and Infinity, which Python writes, for callers that can name the place
            better.

    Raises:
        ValueError: this is not JSON, or it is nested too deeply; the message begins with `source`.
    """
    constants = float if allow_nan else _refuse
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        value = json.loads(text, object_pairs_hook=make_object, parse_constant=constants)
    except RecursionError:
        raise ValueError(f"{source}: not JSON (nested too deeply).") from None
    except ValueError as error:
        raise ValueError(f"{source}: not JSON ({error}).") from None
    if _is_deep(value):
        raise ValueError(f"{source}: not JSON (nested too deeply).")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _is_deep(value: Any) -> bool:
    """True if lists and objects are nested more than MAX_DEPTH levels deep."""
    level = [value] if isinstance(value, (dict, list, tuple)) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list, tuple))
        ]
    return bool(level)
