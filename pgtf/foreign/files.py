"""Opens files whose names and contents come from a user."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, Any

PathLike = str | os.PathLike[str]


def open_regular(path: PathLike) -> io.BufferedReader:
    """Opens a regular file for reading. A pipe would wait for ever, and a device may have no end.

    Raises:
        ValueError: it is a pipe, a socket or a device.
        OSError: it cannot be opened.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ValueError(f"{os.fspath(path)}: must be a regular file, not a pipe or a device.")


def size_of(file: IO[Any]) -> int:
    """Number of bytes in an open file."""
    return os.fstat(file.fileno()).st_size


def read_bytes(path: PathLike, max_bytes: int) -> bytes:
    """Reads a regular file.

    Raises:
        ValueError: it is not a regular file, or has more than `max_bytes` bytes.
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = size_of(file)
        content = file.read(max_bytes + 1) if size <= max_bytes else b""
    if max(size, len(content)) > max_bytes:
        raise ValueError(
            f"{os.fspath(path)}: must have at most {max_bytes} bytes. "
            f"Received: {max(size, len(content))}."
        )
    return content


def read_text(path: PathLike, max_bytes: int) -> str:
    """Reads a regular file of UTF-8 text, with or without a byte order mark.

    Raises:
        ValueError: see `read_bytes`, or it is not UTF-8.
        OSError: it cannot be read.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: must be text in UTF-8 ({error}).") from None
