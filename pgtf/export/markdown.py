"""Text of others inside Markdown and HTML."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Escapes what Markdown would take for more than text, such as a picture from elsewhere."""
    return re.sub(r"([^\w\s])", r"\\\1", text)
