"""JSON that others wrote: of bounded size and depth, without NaN, one value per key."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pgtf.foreign.files import NotRegular, PathLike, read_bytes

MAX_BYTES = 1 << 28  # A million labels of a hundred numbers fit.
SMALL_BYTES = 1 << 22  # of a configuration, or notes about a file, which have some thousands
MAX_CONTAINERS = 3_000_000  # lists and objects; an empty one takes 64 bytes of memory
MAX_DEPTH = 64  # lists and objects inside each other; code that walks them may be recursive
MAX_LINES_BYTES = 1 << 26  # of a file of JSON lines; one tick of training takes 500
MAX_LINE_BYTES = 1 << 20
MAX_LINES = 100_000  # a line takes 30 microseconds; runs of the paper have 2,000
# Halves of surrogate pairs. Python writes U+DC80 to U+DCFF for bytes of file names.
_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")

Pairs = list[tuple[str, Any]]


class Line(NamedTuple):
    """One line of a file of JSON lines."""

    place: str  # file and number, for messages
    text: str
    value: Any  # None if the line is torn
    is_torn: bool  # not whole JSON, as a crash leaves the last line


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
    """Reads a JSON file, again where a disk wavers; see `parse_json`.

    Raises:
        ValueError: the file is too large or not JSON; the message begins with its name.
        OSError: it cannot be read.
    """
    content = _read(path, max_bytes)
    return parse_json(content, os.fspath(path), make_object=make_object, allow_nan=allow_nan)


def read_lines(
    path: PathLike,
    *,
    max_bytes: int = MAX_LINES_BYTES,
    max_lines: int = MAX_LINES,
    allow_nan: bool = False,
) -> Iterator[Line]:
    """Yields the lines of a file that grows by one JSON text per line; see `parse_json`.

    A line that ends too early is torn: a crash leaves such a last line, and the next one follows
    it. A file that is not there has no lines, and neither has a pipe, which is not waited for.

    Raises:
        ValueError: the file is too large, or a line is no JSON for another reason; the message
            begins with the file's name and names the line.
        OSError: it cannot be read.
    """
    source = os.fspath(path)
    try:
        content = _read(path, max_bytes)
    except (FileNotFoundError, NotRegular):
        return
    for number, line in enumerate(io.BytesIO(content), 1):
        if number > max_lines:
            raise ValueError(f"{source}: must have at most {max_lines} lines.")
        place = f"{source} line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"{place}: must have at most {MAX_LINE_BYTES} bytes.")
        text = ""
        try:
            text = _decoded(line.rstrip(b"\r\n"), place)
            yield Line(place, text, _parsed(text, place, unique_keys, allow_nan), False)
        except (_CutCharacter, json.JSONDecodeError):
            yield Line(place, text, None, True)


def parse_json(
    content: bytes | str,
    source: str,
    *,
    max_bytes: int = MAX_BYTES,
    make_object: Callable[[Pairs], Any] = unique_keys,
    allow_nan: bool = False,
) -> Any:
    """Parses JSON in UTF-8, with or without a byte order mark.

    Integers may have thousands of digits; `schema.read_as` bounds them.

    Args:
        content: the JSON text.
        source: name of the file, and the line if it has several.
        max_bytes: largest number of bytes or characters.
        make_object: makes the result for an object of its (key, value) pairs.
        allow_nan: accept NaN and Infinity, which Python writes, for callers that can name the place
            better.

    Raises:
        ValueError: this is not JSON, or it is nested too deeply; the message begins with `source`.
    """
    if len(content) > max_bytes:
        what = f"must have at most {max_bytes} bytes. Received: {len(content)}"
        raise ValueError(f"{source}: not JSON ({what}).")
    text = _decoded(content, source) if isinstance(content, bytes) else content
    try:
        return _parsed(text, source, make_object, allow_nan)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source}: not JSON ({error}).") from None


def _read(path: PathLike, max_bytes: int) -> bytes:
    source = os.fspath(path)
    try:
        return read_bytes(path, max_bytes)
    except NotRegular as error:
        raise _NotRegularJson(error.errno, error.strerror, source) from None
    except ValueError as error:
        what = str(error).removeprefix(f"{source}: ").rstrip(".")
        raise ValueError(f"{source}: not JSON ({what}).") from None


class _NotRegularJson(NotRegular):
    def __str__(self) -> str:
        return f"{self.filename}: not JSON ({self.strerror})."


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_cut = error.reason == "unexpected end of data"
        raise (_CutCharacter if is_cut else ValueError)(f"{source}: not JSON ({error}).") from None


class _CutCharacter(ValueError):
    """Raised for a text that ends within a character."""


def _parsed(text: str, source: str, make_object: Callable[[Pairs], Any], allow_nan: bool) -> Any:
    """Parses a text; JSONDecodeError if its syntax is wrong, ValueError for other reasons."""
    constants = float if allow_nan else _refuse
    if text.count("[") + text.count("{") > MAX_CONTAINERS:
        raise ValueError(f"{source}: not JSON (more than {MAX_CONTAINERS} lists and objects).")
    try:
        value = json.loads(text, object_pairs_hook=make_object, parse_constant=constants)
    except RecursionError:
        raise ValueError(f"{source}: not JSON (nested too deeply).") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise ValueError(f"{source}: not JSON ({error}).") from None
    if _is_deep(value):
        raise ValueError(f"{source}: not JSON (nested too deeply).")
    if _ESCAPE.search(text) and _has_half_pair(value):
        raise ValueError(f"{source}: not JSON (half of a surrogate pair).")
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


def _has_half_pair(value: Any) -> bool:
    """True if a text in a value that is not deep is no Unicode, nor a name of a file."""
    if isinstance(value, str):
        return bool(_HALF.search(value))
    if isinstance(value, dict):
        return any(map(_has_half_pair, value)) or any(map(_has_half_pair, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_half_pair, value))
