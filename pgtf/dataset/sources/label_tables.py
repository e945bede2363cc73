"""Labels in a table: the column of files, the columns of labels, and their values."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pgtf.dataset.sources.label_values import MAX_CLASSES, shown
from pgtf.dataset.sources.matching import match_names
from pgtf.dataset.sources.tables import Table, shortened

MAX_DIGITS = 100  # of a class number; Python refuses to read thousands
INTEGER = re.compile(r"[+-]?\d+")
THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,'\u2019 \u00a0\u202f]\d{3})+([.,]\d+)?")
MISSING = "nan"  # text of pandas and NumPy for a blank cell, in small letters
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I)


@dataclasses.dataclass(frozen=True)
class LabelOptions:
    """Parts of a table that are used."""

    file_column: str | None = None  # holds the names of files; None = the first
    label_columns: tuple[str, ...] = ()  # () = all others
    header: bool = True  # False = the first line is a row; columns are called 1, 2, ...
    group_column: str | None = None  # is no label unless `label_columns` says so


@dataclasses.dataclass(frozen=True)
class Entries:
    """Labels by the names of files, as they are written."""

    source: str
    by_name: Mapping[str, Any]
    columns: list[str]  # names of the label columns, if known
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of each name in a table


def from_table(
    table: Table,
    image_dir: str,
    names: Sequence[str],
    options: LabelOptions,
    as_text: bool = False,
) -> Entries:
    """Takes the file column and the label columns of a table."""
    file = _file_column(table, image_dir, names, options)
    if options.label_columns:
        chosen = [table.number_of(name, "label_columns") for name in options.label_columns]
    else:
        others = {file}
        if options.group_column is not None:
            others.add(table.number_of(options.group_column, "split_by"))
        columns = range(len(table.columns))
        chosen = [i for i in columns if i not in others and not table.is_unnamed(i)]
    if not chosen:
        raise ValueError(f"{table.path}: must have a column of labels beside that of files.")
    names_of_chosen = [table.columns[i] for i in chosen]
    files = table.column(file)
    if "" in files:
        line = table.lines[files.index("")]
        raise ValueError(f"{table.path} line {line}: its column {table.columns[file]} is blank.")
    if len(chosen) == 1:
        cells = table.column(chosen[0])
        labels: list[Any] = cells if as_text else _values(table, names_of_chosen[0], cells)
        is_numeric = bool(labels) and any(isinstance(label, list) for label in labels)
        names_of_columns = names_of_chosen if is_numeric else []
    else:
        labels = [_numbers(table, row, chosen) for row in range(len(files))]
        names_of_columns = names_of_chosen
    by_name = collected(table.path, zip(files, labels, strict=True))
    lines = {os.path.normpath(name): line for name, line in zip(files, table.lines, strict=True)}
    return Entries(table.path, by_name, names_of_columns, lines)


def _file_column(table: Table, image_dir: str, names: Sequence[str], options: LabelOptions) -> int:
    """Returns the number of the column that names files: the first, or that after an index.

    Raises:
        ValueError: another column names more of them, or others; or the first line is no header.
    """
    if options.file_column is not None:
        return table.number_of(options.file_column, "file_column")
    first = 1 if table.is_unnamed(0) and len(table.columns) > 2 else 0
    written = {os.path.normpath(cell) for cell in table.column(first)}
    if all(name in written for name in names):
        return first
    rows = [_rows_named(table, i, image_dir, names) for i in range(len(table.columns))]
    if first and not rows[first] and rows[0]:
        first = 0
    best = max(range(len(rows)), key=lambda i: len(rows[i]))
    if len(rows[best]) == len(rows[first]):
        best = next((i for i, found in enumerate(rows) if _contradict(found, rows[first])), first)
    if best != first:
        name = table.columns[best]
        if table.has_header:
            unnamed = [x for x in names if x not in rows[best]]
            _check_header(table, best, image_dir, unnamed, f" --file_column={best + 1}")
        raise ValueError(
            f"{table.path}: its first column, {table.columns[first] or '(unnamed)'}, must name the "
            f"files. Received, for example: {shortened(table.rows[0][first])!r}; and "
            f"{shortened(table.rows[0][best])!r} in the column {name}. "
            f"Add --file_column={name or table.columns[first]}."
        )
    if table.has_header and len(rows[first]) < len(names):
        _check_header(table, first, image_dir, [name for name in names if name not in rows[first]])
    return first


def _rows_named(table: Table, column: int, image_dir: str, names: Sequence[str]) -> dict[str, int]:
    """Returns {image: number of the first row in which a column names it}."""
    rows = {os.path.normpath(cell): row for row, cell in _reversed_cells(table, column)}
    try:
        meant = match_names(rows, image_dir, names)
    except ValueError:  # The labels are looked up later, and report this.
        return {name: rows[name] for name in names if name in rows}
    return {name: min(rows[text] for text in texts) for name, texts in meant.items()}


def _reversed_cells(table: Table, column: int) -> Iterator[tuple[int, str]]:
    return ((row, table.rows[row][column]) for row in range(len(table.rows) - 1, -1, -1))


def _contradict(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """True if two columns name as many images, but in other rows."""
    return len(one) == len(other) and one != other


def _check_header(
    table: Table, file: int, image_dir: str, missing: Sequence[str], more: str = ""
) -> None:
    """Raises ValueError if the header is the row of an image that has no other row.

    Args:
        table: the table.
        file: number of the column of files.
        image_dir: folder of the images.
        missing: images that no row names.
        more: flags that are needed beside --header=0.
    """
    if match_names({os.path.normpath(table.columns[file])}, image_dir, missing):
        raise ValueError(
            f"{table.path}: its first line must name the columns, such as file,class. "
            f"Received: {table.describe_columns()}. Add such a line, or --header=0{more}."
        )


def _values(table: Table, column: str, cells: Sequence[str]) -> list[Any]:
    """Converts the cells of the only label column: class numbers, [number] each, or texts."""
    filled = [cell for cell in cells if cell]
    if all(cell.isdecimal() or INTEGER.fullmatch(cell) for cell in filled):
        if filled and (longest := max(filled, key=len))[MAX_DIGITS:]:
            raise ValueError(
                f"{table.path}: class numbers must be 0 to {MAX_CLASSES - 1}. "
                f"Received: {longest[:MAX_DIGITS]}..., {len(longest)} digits."
            )
        return [int(cell) if cell else cell for cell in cells]
    if all(NUMBER.fullmatch(cell) for cell in filled) and any(map(_has_digit, filled)):
        return [
            [_number(table, row, column, cell)] if cell else cell for row, cell in enumerate(cells)
        ]
    if all(NUMBER.fullmatch(cell) or THOUSANDS.fullmatch(cell) for cell in filled):
        row, cell = next((i, x) for i, x in enumerate(cells) if THOUSANDS.fullmatch(x))
        raise ValueError(
            f"{table.path} line {table.lines[row]}: {column} holds {shortened(cell)!r}. Write "
            "numbers without separators of thousands."
        )
    return ["" if cell.casefold() == MISSING else cell for cell in cells]


def _numbers(table: Table, row: int, columns: Sequence[int]) -> list[float]:
    """Converts several cells of a row to numbers."""
    cells = table.rows[row]
    return [_number(table, row, table.columns[i], cells[i]) for i in columns]


def _number(table: Table, row: int, column: str, cell: str) -> float:
    try:
        return table.decimal(cell)
    except ValueError:
        what = "is blank" if not cell else f"holds {shortened(cell)!r}"
    if len(table.columns) > 2:
        raise ValueError(
            f"{table.path}: more than one label column must hold numbers (line "
            f"{table.lines[row]}: {column} {what}). Write 0 and 1 for yes and no, or "
            f"choose columns with --label_columns; there are {table.describe_columns()}."
        )
    raise ValueError(
        f"{table.path} line {table.lines[row]}: {column} {what}, which is no number with a decimal "
        "point."
    )


def _has_digit(cell: str) -> bool:
    return any(map(str.isdecimal, cell))


def collected(path: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Collects {file: label}; a file that is named twice must have the same label."""
    found: dict[str, Any] = {}
    for name, label in pairs:
        key = os.path.normpath(name)
        if found.setdefault(key, label) != label:
            raise ValueError(
                f"{path}: two labels for {name}: {shown(found[key])} and {shown(label)}."
            )
    return found
