"""Text of others in messages: file names may hold commands for the terminal."""

from __future__ import annotations

import logging
import re
import unicodedata

# Control and format characters, halves of surrogate pairs, line and paragraph separators.
ESCAPED = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # Persian words and many emoji need them.


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


class PrintableFormatter(logging.Formatter):
    """Formats log lines that may hold names of files; keeps line breaks and tabs."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the text of a record, with characters escaped that a terminal would obey."""
        return "".join(
            part if part in "\n\t" else printable(part)
            for part in re.split(r"([\n\t])", super().format(record))
        )
