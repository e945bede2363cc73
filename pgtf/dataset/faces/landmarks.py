"""Reads five landmarks per face from CelebA's text format, a CSV or a JSON file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pgtf.dataset.sources.matching import match_names
from pgtf.dataset.sources.tables import Table, parse_table
from pgtf.foreign.files import read_bytes, read_text
from pgtf.foreign.json_files import read_json
from pgtf.foreign.numbers import is_number

POINTS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
# CelebA's names of the columns. Left and right are as seen by the viewer.
COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
    for axis in "xy"
)
MAX_COORDINATE = 1e6  # pixels; larger than any photograph, so that other tables are recognized
MAX_BYTES = 1 << 30  # of a table
EXPECTED = f"x and y of {len(POINTS)} points"


@dataclasses.dataclass(frozen=True)
class Face:
    """One face in a photograph."""

    file: str  # path below the folder of photographs
    landmarks: np.ndarray | None  # float32 [5, 2], x and y in pixels; None = unknown
    number: int = 0  # counts the faces in a photograph


def read_landmarks(path: str, image_dir: str, names: Sequence[str]) -> list[Face]:
    """Reads the faces of each photograph, in the order of the photographs.

    Args:
        path: a .csv or .tsv file: a header, then a file name and ten numbers in each row, in the
            order of POINTS; or, if the header has CelebA's names (COLUMNS), in any order and beside
            other columns. A .json file: {file: five pairs or ten numbers}, or
            [[file, points], ...]. Any other file is read as CelebA's text: a count, a header
            without the file's column, rows. Names mean photographs as `match_names` finds them.
            Rows for other files are ignored; a photograph may have several faces.
        image_dir: folder of the photographs.
        names: their paths below it.

    Returns:
        The faces; a photograph without a row has one face without landmarks.

    Raises:
        ValueError: the table is damaged, repeats a face, or has no row for any photograph.
        OSError: the table cannot be read.
    """
    rows = _READERS.get(os.path.splitext(path)[1].lower(), _read_text)(path)
    written: dict[str, list[np.ndarray]] = {}
    for at, file, values in rows:
        points = _points(at, file, values)
        known = written.setdefault(os.path.normpath(file), [])
        if any((points == other).all() for other in known):
            raise ValueError(f"{at}: the same face of {file} twice. Delete one row.")
        known.append(points)
    try:
        meant = match_names(written, image_dir, names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    found = {name: [x for text in texts for x in written[text]] for name, texts in meant.items()}
    if not found:
        first = next(iter(written), "nothing")
        raise ValueError(
            f"{path}: has landmarks for none of {len(names)} photographs. Expected: paths below "
            f"their folder, such as {names[0]}. Received: {first}."
        )
    faces = []
    for name in names:
        several = enumerate(found[name]) if name in found else [(0, None)]
        faces += [Face(name, points, number) for number, points in several]
    return faces


def _points(at: str, file: str, values: Any) -> np.ndarray:
    """Converts the values of a row -> float32 [5, 2]."""
    try:
        points = np.array(values, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0)
    if points.size != 2 * len(POINTS) or not (np.abs(points) < MAX_COORDINATE).all():
        raise ValueError(
            f"{at}: {file}: must have {EXPECTED}, {2 * len(POINTS)} numbers. "
            f"Received: {_shown(values)}."
        )
    return points.reshape(-1, 2).astype(np.float32)


def _shown(values: Any) -> str:
    """Shows the values of a row in a few characters: a file may hold any."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = 3 * len(POINTS)
    text = short.repr(values)
    return text[:80] + "..." * (len(text) > 80)


Rows = Iterator[tuple[str, str, Any]]  # place, file, ten numbers


def _read_table(path: str) -> Rows:
    table = parse_table(path, read_bytes(path, MAX_BYTES))
    file, columns = _columns(table)
    for row, line in zip(table.rows, table.lines, strict=True):
        at, values = f"{path} line {line}", [row[i] for i in columns]
        with contextlib.suppress(ValueError):
            yield at, row[file], [table.decimal(value) for value in values]
            continue
        yield at, row[file], values


def _columns(table: Table) -> tuple[int, list[int]]:
    """Returns the number of the column of files, and those of the coordinates.

    Raises:
        ValueError: the header is none of a table of landmarks.
    """
    header = [name.casefold() for name in table.columns]
    first = 1 if table.is_unnamed(0) else 0  # the index that pandas writes
    if all(header.count(name) == 1 for name in COLUMNS):
        others = [i for i in range(first, len(header)) if header[i] not in COLUMNS]
        if others:
            return others[0], [header.index(name) for name in COLUMNS]
    if len(header) - first != 1 + len(COLUMNS):
        raise ValueError(
            f"{table.path}: its header must name a file column and those of {EXPECTED}. "
            f"Received: {len(header)} columns."
        )
    if all(map(is_number, header[first + 1 :])):
        raise ValueError(f"{table.path}: must have a header. Received: a row of numbers.")
    return first, list(range(first + 1, len(header)))


def _read_text(path: str) -> Rows:
    lines = _read(path).splitlines()
    if len(lines) < 2 or not lines[0].strip().isdecimal():
        raise ValueError(
            f"{path}: must be a .csv or .json file, or CelebA's text: a count, a header, then a "
            f"file and {EXPECTED} per line. Received: {' '.join(lines[:1])[:80]!r}."
        )
    rows = [(number, line.split()) for number, line in enumerate(lines[2:], 3) if line.strip()]
    if len(rows) != float(lines[0]):  # `int` refuses thousands of digits.
        raise ValueError(
            f"{path} line 1: must be the number of rows, {len(rows)}. "
            f"Received: {lines[0].strip()[:80]}."
        )
    for number, (file, *values) in rows:
        yield f"{path} line {number}", file, values


def _read_json(path: str) -> Rows:
    def pairs(items: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return items  # a dict would keep only the last face of a file

    content = read_json(path, max_bytes=MAX_BYTES, make_object=pairs, allow_nan=True)
    if not isinstance(content, list) or not all(
        isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str)
        for item in content
    ):
        raise ValueError(f"{path}: must be {{file: points}} or [[file, points], ...].")
    for file, values in content:
        yield path, file, values


def _read(path: str) -> str:
    return read_text(path, MAX_BYTES)


_READERS = {".csv": _read_table, ".tsv": _read_table, ".json": _read_json}
