"""Finds the XMP packet in a picture or film; reads headers and skips pixels."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from typing import IO

from pgtf.foreign import tiff
from pgtf.foreign.files import open_regular
from pgtf.foreign.picture_headers import JPEG_START, read_jpeg

PNG_KEYWORD = b"XML:com.adobe.xmp"
GIF_EXTENSION = b"XMP DataXMP"
MP4_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
TIFF_TAG = 700
MAX_BYTES = 2**22  # of a packet
MAX_PARTS = 2**20  # chunks, blocks or boxes that are visited
_MP4_PATH = {b"moov", b"udta", b"meta", b"ilst", b"desc"}  # boxes that lead to the description
_META_HEADER = 4  # bytes between the header of a box `meta` and its boxes
_DATA_HEADER = 16  # bytes before the text in a box `data`: size, name, type, language

Found = tuple[bytes | None, str | None]  # packet, and the description of a film without one


def find(path: str | os.PathLike[str]) -> Found:
    """Finds the packet of a PNG, JPEG, GIF, WebP, TIFF or MP4 file, or an MP4 file's description.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of another format, or damaged.
    """
    with open_regular(path) as file:
        start = file.read(12)
        file.seek(0)
        for is_of, finder in _FINDERS:
            if is_of(start):
                try:
                    return finder(file)
                except (struct.error, IndexError, EOFError):
                    raise ValueError(f"{path}: damaged: it ends too early.") from None
                except ValueError as error:
                    raise ValueError(f"{path}: {error}.") from None
    raise ValueError(f"{path}: must be a PNG, JPEG, GIF, WebP, TIFF or MP4 file.")


def _read(file: IO[bytes], size: int) -> bytes:
    """Reads exactly so many bytes."""
    if size > MAX_BYTES:
        raise ValueError(f"its metadata must have at most {MAX_BYTES} bytes")
    content = file.read(size)
    if len(content) != size:
        raise EOFError
    return content


def _png(file: IO[bytes]) -> Found:
    file.seek(8)
    for _ in range(MAX_PARTS):
        size, name = struct.unpack(">I4s", _read(file, 8))
        if name == b"IEND":
            break
        if name == b"iTXt" and size <= MAX_BYTES:
            content = _read(file, size)
            head = PNG_KEYWORD + b"\0\0"  # the second 0 = uncompressed
            if content.startswith(head):
                return content[len(head) :].split(b"\0", 3)[3], None
            size = 0
        file.seek(size + 4, os.SEEK_CUR)
    return None, None


def _jpeg(file: IO[bytes]) -> Found:
    return read_jpeg(file, pixels=False).xmp or None, None


def _tiff(file: IO[bytes]) -> Found:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        directory = tiff.read_directory(content)
        for entry in directory.entries:
            if entry.tag == TIFF_TAG and entry.num_bytes <= MAX_BYTES:
                data, at = directory.data_of(entry, content)
                return bytes(data[at : at + entry.num_bytes]), None
    return None, None


def _gif(file: IO[bytes]) -> Found:
    _skip_palette(file, _read(file, 13)[10])
    for _ in range(MAX_PARTS):
        kind = _read(file, 1)
        if kind == b";":
            break
        if kind == b",":
            _skip_palette(file, _read(file, 9)[8])
            file.seek(1, os.SEEK_CUR)  # smallest size of a code
        elif kind == b"!":
            label, size = _read(file, 2)
            if label == 0xFF and _read(file, size) == GIF_EXTENSION:
                return _until_zero(file), None
            if label != 0xFF:
                file.seek(size, os.SEEK_CUR)
                if size == 0:
                    continue
        else:
            raise ValueError("damaged: a block of no known kind")
        for _ in range(MAX_PARTS):
            (size,) = _read(file, 1)
            if size == 0:
                break
            file.seek(size, os.SEEK_CUR)
    return None, None


def _skip_palette(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        file.seek(3 * (2 << (flags & 7)), os.SEEK_CUR)


def _until_zero(file: IO[bytes]) -> bytes:
    """Reads the packet of a GIF file: text, which holds no 0x01, until the bytes that end it."""
    packet, separator, _ = file.read(MAX_BYTES).partition(b"\x01\xff\xfe")
    if not separator:
        raise EOFError
    return packet


def _webp(file: IO[bytes]) -> Found:
    end = struct.unpack("<I", _read(file, 12)[4:8])[0] + 8
    for _ in range(MAX_PARTS):
        if file.tell() + 8 > end:
            break
        name, size = struct.unpack("<4sI", _read(file, 8))
        if name == b"XMP ":
            return _read(file, size), None
        file.seek(size + size % 2, os.SEEK_CUR)
    return None, None


def _mp4(file: IO[bytes]) -> Found:
    end = file.seek(0, os.SEEK_END)
    description: str | None = None
    for name, begin, stop in _boxes(file, 0, end):
        file.seek(begin)
        if name == b"uuid" and file.read(len(MP4_UUID)) == MP4_UUID:
            return _read(file, stop - file.tell()), None
        if name == b"desc" and stop - begin >= _DATA_HEADER:
            description = _read(file, stop - begin)[_DATA_HEADER:].decode(errors="replace")
    return None, description


def _boxes(file: IO[bytes], begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, begin and end of the boxes, those that lead to the description included."""
    waiting = [(begin, end)]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        begin, end = waiting.pop()
        if end - begin < 8:
            continue
        file.seek(begin)
        size, name = struct.unpack(">I4s", _read(file, 8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", _read(file, 8))[0], 16
        stop = begin + size if size else end  # 0 = to the end
        if not begin + header <= stop <= end:
            raise ValueError(f"damaged: a box at {begin} that ends outside the file")
        waiting.append((stop, end))
        if name in _MP4_PATH and name != b"desc":
            waiting.append((begin + header + _META_HEADER * (name == b"meta"), stop))
        yield name, begin + header, stop


_FINDERS: list[tuple[Callable[[bytes], bool], Callable[[IO[bytes]], Found]]] = [
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda start: start.startswith(JPEG_START), _jpeg),
    (lambda start: start[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (lambda start: start[:4] == b"RIFF" and start[8:] == b"WEBP", _webp),
    (lambda start: start[:4] in (b"II*\0", b"MM\0*"), _tiff),
    (lambda start: start[4:8] == b"ftyp", _mp4),
]
