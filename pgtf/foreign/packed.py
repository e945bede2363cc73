"""Files that gzip, bzip2 or xz compressed, unpacked as they are read, in bounded memory and time.

Python's own readers take a second for every few megabytes of names, of zeros at the end or of empty
parts, and as much memory as a file of xz asks for.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Protocol

CHUNK = 1 << 16  # bytes that are read at once
MAX_PARTS = 10_000  # files that were compressed one by one and joined; bgzip makes one per 64 KiB
MAX_PACKED = 1 << 29  # bytes of a file that are read
MAX_XZ_BYTES = 128 << 20  # memory for unpacking; the largest preset of xz needs 65 MiB
GZIP_HEADER = 16  # added to the size of the window: the format of gzip


class Damaged(ValueError):
    """Raised for a file that cannot be unpacked; the message does not name it."""


class Inflater(Protocol):
    """Unpacks one part."""

    @property
    def eof(self) -> bool:
        """True at the end of the part."""

    @property
    def needs_input(self) -> bool:
        """True if there is no more without more data."""

    @property
    def unused_data(self) -> bytes:
        """Bytes after the end of the part."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Returns the next bytes, at most `max_length`."""


class Gzip:
    """zlib with the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(GZIP_HEADER + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)
        self.needs_input = not self._inflater.unconsumed_tail and len(found) < max_length
        return found


def _xz() -> Any:
    return lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)


FORMATS: dict[bytes, Callable[[], Inflater]] = {
    b"\x1f\x8b": Gzip,
    b"BZ": bz2.BZ2Decompressor,
    b"\xfd7": _xz,
}  # by the first bytes


class Unpacked(io.RawIOBase):
    """The content of an open compressed file, which can be read once, from the beginning on."""

    def __init__(self, file: IO[bytes], make: Callable[[], Inflater]) -> None:
        """Takes the file, positioned at its first byte, and one of FORMATS."""
        super().__init__()
        self._file, self._make = file, make
        self._inflater = make()
        self._num_parts, self._num_bytes = 1, 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills a part of a buffer. Returns the number of bytes, 0 at the end.

        Raises:
            Damaged: the file is damaged, truncated, or made to take long.
        """
        view = memoryview(buffer)
        while True:
            data = b""
            if self._inflater.eof and not (data := self._next_part()):
                return 0
            if not data and self._inflater.needs_input and not (data := self._more()):
                raise Damaged("it ends too early")
            try:
                found = self._inflater.decompress(data, len(view))
            except (zlib.error, lzma.LZMAError, EOFError, OSError) as error:
                raise Damaged(str(error)) from None
            if found:
                view[: len(found)] = found
                return len(found)

    def _next_part(self) -> bytes:
        """Begins the next part. Returns its first bytes, b"" at the end of the file."""
        data = self._inflater.unused_data
        while not (data := data.lstrip(b"\0")):  # Tapes are filled up with zeros.
            if not (data := self._more()):
                return b""
        self._num_parts += 1
        if self._num_parts > MAX_PARTS:
            raise Damaged(f"it has more than {MAX_PARTS} parts")
        self._inflater = self._make()
        return data

    def _more(self) -> bytes:
        data = self._file.read(CHUNK)
        self._num_bytes += len(data)
        if self._num_bytes > MAX_PACKED:
            raise Damaged(f"it has more than {MAX_PACKED >> 20} MiB")
        return data
