"""Text of others inside Markdown and HTML."""

from __future__ import annotations

import re

_ACTIVE = re.compile(r"[\\`*_{}\[\]<>#|!&~$^=+:/@]|(?<=www)\.")  # "." makes www.x a link


def plain(text: str) -> str:
    """Escapes what Markdown would take for more than text, such as a picture from elsewhere."""
    return _ACTIVE.sub(r"\\\g<0>", text)
