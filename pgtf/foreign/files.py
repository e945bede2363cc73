"""Opens files whose names and contents come from a user."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import IO, Any

from pgtf.files import retried
from pgtf.foreign import zips

PathLike = str | os.PathLike[str]


class NotRegular(OSError, ValueError):
    """Raised for a pipe, a socket or a device: one would be waited for, another has no end."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}."


def open_regular(path: PathLike) -> io.BufferedReader:
    """Opens a regular file for reading, or a file in a zip archive: cats.zip/tabby/1.jpg.

    Raises:
        NotRegular: it is a pipe, a socket or a device.
        OSError: it cannot be opened.
        ValueError: it cannot be unpacked; see `zips.open_member`.
    """
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except NotADirectoryError:
        if (member := zips.open_member(os.fspath(path))) is None:
            raise
        return member
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise NotRegular(errno.EINVAL, "must be a regular file, not a pipe or a device", str(path))


def size_of(file: IO[Any]) -> int:
    """Number of bytes in an open file."""
    if isinstance(file, zips.Member):
        return file.num_bytes
    return os.fstat(file.fileno()).st_size


def stamp_of(file: IO[Any]) -> tuple[object, ...] | None:
    """Tells an open file and its content from any other; None for a file in memory."""
    if isinstance(file, zips.Member):
        return file.stamp
    try:
        found = os.fstat(file.fileno())
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_bytes(path: PathLike, max_bytes: int) -> bytes:
    """Reads a regular file, or one in a zip archive; again where a disk wavers.

    Raises:
        ValueError: it is not a regular file, or has more than `max_bytes` bytes.
        OSError: it cannot be read, or only a part of it.
    """

    def read() -> bytes:
        with open_regular(path) as file:
            size = size_of(file)
            if size > max_bytes:
                what = f"must have at most {max_bytes} bytes. Received: {size}"
                raise ValueError(f"{os.fspath(path)}: {what}.")
            content = file.read()
            if len(content) < size:
                what = f"only {len(content)} of {size} bytes could be read"
                raise OSError(errno.EIO, what, os.fspath(path))
            return content

    return retried(read, path)


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
