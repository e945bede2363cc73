"""Text of others in messages: file names may hold commands for the terminal.

`guard` makes standard output and standard error of a command safe as a whole. `printable` and
`one_line` are for names, in which line breaks count as well.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

# Control and format characters, halves of surrogate pairs, line and paragraph separators.
ESCAPED = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # Persian words and many emoji need them.
CURSOR_UP = re.compile("(\x1b\\[A)+")  # written by progress bars, alone
STREAMS = ("stdout", "stderr")
MAX_LINE, END = 1400, 300  # characters of a line, and of its end if its middle is left out


def printable(text: str) -> str:
    """Escapes characters that a terminal would obey, such as ESC, as Python does: \\x1b."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode()
        if unicodedata.category(c) in ESCAPED and c not in JOINERS
        else c
        for c in text
    )


def one_line(text: object) -> str:
    """Replaces line breaks by spaces, and escapes what else a terminal would obey."""
    return printable(" ".join(str(text).splitlines()))


def several_lines(text: str) -> str:
    """Escapes what a terminal would obey, except line breaks and tabs."""
    if text.isprintable():
        return text
    return "".join(
        part if part in "\n\t" else printable(part) for part in re.split(r"([\n\t])", text)
    )


class PrintableFormatter(logging.Formatter):
    """Formats log lines that may hold names of files; keeps line breaks of the message itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the text of a record, with characters escaped that a terminal would obey."""
        if isinstance(record.args, tuple) and record.msg != "%s":  # "%s" is for whole texts.
            args = tuple(map(_safe, record.args))
            record = logging.makeLogRecord(record.__dict__ | {"args": args})
        return several_lines(super().format(record))


class PrintableStream:
    """A text stream that escapes what a terminal would obey, except the bars of tqdm.

    Args:
        stream: the stream to write to.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes text; returns the number of its characters."""
        if text.isprintable() or CURSOR_UP.fullmatch(text):
            self.stream.write(text)
        else:
            start = text.startswith("\r")  # tqdm writes a bar over the one before.
            self.stream.write("\r" * start + several_lines(text[start:]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Makes standard output and standard error of this process streams of the kind above."""
    for name in STREAMS:
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PrintableStream):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")  # The terminal may lack characters.
            setattr(sys, name, PrintableStream(stream))


def _safe(value: Any) -> Any:
    is_text = isinstance(value, (str, os.PathLike, BaseException))
    return printable(str(value)) if is_text else value


def brief(line: str) -> str:
    """Leaves out the middle of a line that nobody would read to the end."""
    if len(line) <= MAX_LINE:
        return line
    return f"{line[: MAX_LINE - END]} ... {line[-END:]}"
