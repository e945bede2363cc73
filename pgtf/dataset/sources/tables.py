"""Tables of text as Kaggle, pandas and spreadsheets write them: CSV of any dialect."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import re
from collections.abc import Sequence

DELIMITERS = (",", ";", "\t")
STATED = re.compile(r"sep=(.)\r?\n")  # first line that Excel writes and reads
UNNAMED = re.compile(r"(Unnamed: ?\d+(_level_\d+)?)?")  # header of the index that pandas writes
MAX_SHOWN = 80  # characters of a table in a message


@dataclasses.dataclass(frozen=True)
class Table:
    """A header and rows of as many cells, without the blanks around them."""

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]  # line of each row in the file
    delimiter: str
    has_header: bool

    def number_of(self, column: str, flag: str) -> int:
        """Returns the place of a column by its name, which a flag gave.

        Raises:
            ValueError: there is no such column, or several.
        """
        for names in (self.columns, [name.casefold() for name in self.columns]):
            wanted = column if names is self.columns else column.casefold()
            found = [number for number, name in enumerate(names) if name == wanted]
            if len(found) == 1:
                return found[0]
        raise ValueError(
            f"{self.path}: `{flag}` must name one of its columns: {self.describe_columns()}. "
            f"Received: {flag}={column}."
        )

    def column(self, number: int) -> list[str]:
        """Returns the cells of a column."""
        return [row[number] for row in self.rows]

    def decimal(self, cell: str) -> float:
        """Converts a cell to a number; raises ValueError if it holds anything else."""
        # Where the comma does not separate cells, spreadsheets may use it as decimal point.
        return float(cell if self.delimiter == "," else cell.replace(",", "."))

    def is_unnamed(self, number: int) -> bool:
        """True for a column without a name, as pandas writes its index."""
        return self.has_header and UNNAMED.fullmatch(self.columns[number]) is not None

    def describe_columns(self) -> str:
        """Lists the names of the columns."""
        return shortened(", ".join(name or "(unnamed)" for name in self.columns))


def parse_table(path: str, content: bytes, has_header: bool = True) -> Table:
    """Parses CSV whose cells are separated by commas, semicolons or tabs.

    Rows and trailing columns without any text are left out.

    Args:
        path: name of the file, for errors.
        content: UTF-8 or, with a byte order mark, UTF-16.
        has_header: False = the columns are called 1, 2, ...

    Raises:
        ValueError: this is no such table; the message begins with `path`.
    """
    text = _decoded(path, content)
    delimiters: Sequence[str] = DELIMITERS
    skipped = 0
    if stated := STATED.match(text):
        delimiters, text, skipped = [stated[1]], text[stated.end() :], 1
    first_line = text.lstrip("\r\n").partition("\n")[0]
    wrong = ""
    for delimiter in delimiters:
        if delimiter not in first_line:
            continue
        lines, rows = _rows(path, text, delimiter, skipped)
        fault = _fault(lines, rows, 2 if has_header else 1)
        if not fault:
            columns = rows[0] if has_header else [str(i + 1) for i in range(len(rows[0]))]
            start = 1 if has_header else 0
            return Table(
                path,
                tuple(columns),
                tuple(map(tuple, rows[start:])),
                tuple(lines[start:]),
                delimiter,
                has_header,
            )
        wrong = wrong or fault
    raise ValueError(
        f"{path}: must have a header and rows of the same length, 2 or more, separated by commas, "
        f"semicolons or tabs. {wrong or f'Received: {shortened(first_line)!r}.'}"
    )


def shortened(text: str) -> str:
    """Cuts a text for a message."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _decoded(path: str, content: bytes) -> str:
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8 ({error}). Save it as UTF-8.") from None


def _rows(path: str, text: str, delimiter: str, skipped: int) -> tuple[list[int], list[list[str]]]:
    """Returns the rows with any text, and the line of each in the file."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines, rows = [], []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if any(row):
                lines.append(reader.line_num + skipped)
                rows.append(row)
    except csv.Error as error:
        raise ValueError(f"{path}: not a CSV file in UTF-8 ({error}).") from None
    width = max((_width(row) for row in rows), default=0)
    if all(width <= len(row) for row in rows):
        rows = [row[:width] for row in rows]
    return lines, rows


def _width(row: Sequence[str]) -> int:
    """Number of cells up to the last that holds any text."""
    return max(number + 1 for number, cell in enumerate(row) if cell)


def _fault(lines: Sequence[int], rows: Sequence[Sequence[str]], least: int) -> str:
    """Says what keeps rows from being a table; "" = nothing."""
    if len(rows) < least:
        return f"Received: {len(rows)} rows."
    if len(rows[0]) < 2:
        return f"Received: one column, {shortened(rows[0][0])!r}."
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            return f"Received: {len(row)} cells in line {line}, {len(rows[0])} in line {lines[0]}."
    return ""
