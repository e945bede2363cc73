"""Reads one file of a tar archive, compressed or not, with limits of memory and time."""

from __future__ import annotations

import io
import tarfile
from typing import IO, Any, cast

from pgtf.foreign import packed
from pgtf.foreign.files import open_regular

MAX_ARCHIVE = 1 << 29  # bytes after decompression; those of CIFAR have 0.2 GiB
_MAX_HEADER = 1 << 16  # bytes of one header; a long name or comment has a few hundred
_MAX_SKIPPED = 1 << 20  # bytes that are skipped at once
MAX_MEMBERS = 1000  # files before the one that is wanted; CIFAR has nine
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
        with open_regular(path) as raw:
            make = packed.FORMATS.get(raw.read(2))
            raw.seek(0)
            limited = _Limited(io.BufferedReader(packed.Unpacked(raw, make)) if make else raw)
            with tarfile.open(fileobj=cast(Any, limited), mode="r:") as archive:
                end = 0
                for number, member in enumerate(archive):
                    if number >= MAX_MEMBERS:
                        raise ValueError(f"more than {MAX_MEMBERS} files")
                    if member.offset_data <= end:
                        raise ValueError("its files overlap")
                    end = member.offset_data
                    if member.name == name and member.isreg() and not member.issparse():
                        return limited.read_at(member.offset_data, member.size, max_bytes)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno:  # It comes from reading the archive.
            raise
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path}: not a tar archive, or damaged ({what}).") from None
    raise FileNotFoundError(f"{path}:{name}: no such file in the archive.")


class _Limited:
    """A file that is read once, forwards, up to a limit, and never a large part at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._at = file, 0

    def read_at(self, offset: int, size: int, max_bytes: int) -> bytes:
        """Reads the data of a file."""
        if size > max_bytes:
            raise ValueError(f"a file of {size} bytes where at most {max_bytes} are expected")
        self.seek(offset)
        content = self._read(size)
        if len(content) < size:
            raise ValueError("it is truncated")
        return content

    def read(self, size: int = -1) -> bytes:
        """Reads a part of a header."""
        if not 0 <= size <= _MAX_HEADER:
            raise ValueError(f"a header of more than {_MAX_HEADER >> 10} KiB")
        return self._read(size)

    def seek(self, offset: int) -> None:
        """Goes forwards to a position, or to the end."""
        if not 0 <= offset <= MAX_ARCHIVE:
            raise ValueError(f"more than {MAX_ARCHIVE >> 20} MiB after decompression")
        if offset < self._at:
            raise ValueError("its files overlap")
        while self._at < offset and self._read(min(offset - self._at, _MAX_SKIPPED)):
            pass

    def tell(self) -> int:
        """Returns the position."""
        return self._at

    def _read(self, size: int) -> bytes:
        content = self._file.read(size)
        self._at += len(content)
        return content
