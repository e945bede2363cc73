"""Reads one file of a tar archive, compressed or not, with limits of memory and time."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from typing import IO, Any, cast

_OPENERS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}  # by the first bytes
_MAX_ARCHIVE = 1 << 30  # bytes after decompression; those of CIFAR have 0.2 GiB
_MAX_HEADER = 1 << 20  # bytes of one header; a long name or comment has a few hundred
_DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, RecursionError, OverflowError)


def read_member(path: str, name: str, max_bytes: int) -> bytes:
    """Reads a file of an archive.

    Args:
        path: the archive.
        name: name of the file in it.
        max_bytes: largest size that the file may have.

    Raises:
        FileNotFoundError: if there is no such file in the archive.
        OSError: if the archive cannot be read.
        ValueError: if it is no archive, is damaged or decompresses to far more than expected, or
            if the file is too large; the message names the archive.
    """
    try:
        with open(path, "rb") as raw:
            opener = _OPENERS.get(raw.read(2))
        with opener(path, "rb") if opener else open(path, "rb") as stream:
            limited = _Limited(stream)
            with tarfile.open(fileobj=cast(Any, limited), mode="r:") as archive:
                end = 0
                for member in archive:
                    if member.offset_data <= end:
                        raise ValueError("its files overlap")
                    end = member.offset_data
                    if member.name == name and member.isreg() and not member.issparse():
                        return limited.read_at(member.offset_data, member.size, max_bytes)
    except (*_DAMAGE, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno:  # It comes from reading the archive.
            raise
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: not a tar archive, or damaged ({what}).") from None
    raise FileNotFoundError(f"{path}:{name}: no such file in the archive.")


class _Limited:
    """A file of which no position beyond a limit, and no large part at once, is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read_at(self, offset: int, size: int, max_bytes: int) -> bytes:
        """Reads the data of a file."""
        if size > max_bytes:
            raise ValueError(f"a file of {size} bytes where at most {max_bytes} are expected")
        self.seek(offset)
        content = self._file.read(size)
        if len(content) < size:
            raise ValueError("it is truncated")
        return content

    def read(self, size: int = -1) -> bytes:
        """Reads a part of a header."""
        if not 0 <= size <= _MAX_HEADER:
            raise ValueError("a header of more than 1 MiB")
        return self._file.read(size)

    def seek(self, offset: int) -> None:
        """Goes to a position."""
        if not 0 <= offset <= _MAX_ARCHIVE:
            raise ValueError("more than 1 GiB after decompression")
        self._file.seek(offset)

    def tell(self) -> int:
        """Returns the position."""
        return self._file.tell()
