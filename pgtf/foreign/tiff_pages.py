"""One page of a TIFF file, as a file of its own that has nothing but what its pixels need."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Mapping
from typing import IO

from pgtf.foreign.files import stamp_of
from pgtf.foreign.limits import UnreadableKind, check_scans
from pgtf.foreign.tiff import (
    BITS,
    BLACK_IS_ZERO,
    CAMERA_RAW,
    COMPRESSION,
    HEIGHT,
    MAX_VALUES,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    UNSIGNED,
    WHITE_IS_ZERO,
    WIDTH,
    Content,
    Directory,
    Entry,
    directories,
    is_camera_raw,
)

MAX_TILE_PIXELS = 1 << 20  # A tile may have so many pixels even if the image is smaller.
PARTS = (273, 279, 324, 325)  # offsets and sizes of strips and of tiles
MAX_SAMPLES, MIN_PART = 6, 256  # samples per pixel; pixels of a tile
BYTES = (1, 2, 6, 7)  # types that Pillow keeps as bytes
ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 278, 322, 323
JPEG = (6, 7)  # values of COMPRESSION
SHORT = 3  # a type
# Tags that decoding needs: size, samples, compression and its tables, strips or tiles, palette,
# color space and profile.
PIXEL_TAGS = frozenset(
    (*range(256, 260), 262, 263, 266, 273, *range(277, 282), 284, 290, 291, 292, 293)
    + (301, 317, 318, 319, 320, 321, *range(322, 326), 332, 334, *range(338, 344), 347)
    + (*range(512, 522), 529, 530, 531, 532, 34675)
)
SAMPLES_PER_PIXEL = 277
LONG, LONG8 = 4, 16  # types
OLD_JPEG = 6  # value of COMPRESSION; its parts lie anywhere
_last: tuple[tuple[object, ...] | None, list[Directory]] = (None, [])  # stamp and pages of a file


class FileContent:
    """Bytes of an open file, read when they are needed.

    Attributes:
        stamp: differs from that of any other file; None = unknown.
    """

    def __init__(self, file: IO[bytes], num_bytes: int) -> None:
        self._file, self._num_bytes = file, num_bytes
        self.stamp = stamp_of(file)

    def __len__(self) -> int:
        return self._num_bytes

    def __getitem__(self, key: slice, /) -> bytes:
        start = min(key.start, self._num_bytes)
        self._file.seek(start)
        return self._file.read(max(min(key.stop, self._num_bytes) - start, 0))


@dataclasses.dataclass(frozen=True)
class Plain:
    """One page of a TIFF file, as a file of its own."""

    content: bytes
    num_pages: int  # of the file that it is from
    bits: int  # per sample
    sample_format: int  # UNSIGNED, SIGNED, FLOAT or another
    is_inverted: bool  # 0 is white, although the content says that it is black
    orientation: int  # as in EXIF data, 1 to 8; the content has none


def plain_tiff(content: Content, page: int = 0) -> Plain:
    """Returns a TIFF file whose only directory has nothing but what one page's pixels need.

    Smaller copies of other pages, and masks, do not count as pages.

    Args:
        content: the file.
        page: number of the page.

    Raises:
        ValueError: the directory is damaged, or claims more than a file of this size can hold; or
            a camera wrote the file, whose thumbnails would be taken for its picture.
    """
    pages = _pages_of(content)
    if page >= len(pages):
        raise ValueError(f"must have a page {page + 1}, found {len(pages)} pages")
    found = pages[page]
    bits = found.first_of(content, BITS, 1)
    sample_format = found.first_of(content, SAMPLE_FORMAT, UNSIGNED)
    changes = {}
    # Pillow inverts unsigned values of 8 bits or fewer only.
    is_inverted = found.integer(PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO and (
        bits > 8 or sample_format != UNSIGNED
    )
    if is_inverted:
        changes[PHOTOMETRIC] = BLACK_IS_ZERO
    found = _changed(found, changes)
    kept = _checked(content, found)
    plain = _extracted(content, found, kept) if len(pages) > 1 else None
    plain = plain or _with_one_directory(content[0 : len(content)], found, kept)
    turned = found.orientation or 1
    return Plain(plain, len(pages), bits, sample_format, is_inverted, turned)


def _pages_of(content: Content) -> list[Directory]:
    """Lists the pages of a file. Each is opened by itself, but the last file is listed once."""
    global _last
    stamp = getattr(content, "stamp", None)
    if stamp is not None and stamp == _last[0]:
        return _last[1]
    found = directories(content)
    if is_camera_raw(content, found):
        raise UnreadableKind(CAMERA_RAW)
    pages = [page for page in found if page.is_picture] or found[:1]
    _last = stamp, pages
    return pages


def _changed(found: Directory, changes: Mapping[int, int]) -> Directory:
    """Sets tags of a directory to 16-bit integers."""
    form = found.order + ("HHQH6x" if found.is_big else "HHIH2x")
    entries = [entry for entry in found.entries if entry.tag not in changes]
    for tag, value in changes.items():
        record = struct.pack(form, tag, SHORT, 1, value)
        entries.append(Entry(tag, SHORT, 1, record, record[12 if found.is_big else 8 :]))
    return dataclasses.replace(found, entries=tuple(entries))


def _checked(content: Content, found: Directory) -> dict[int, Entry]:
    """Returns the entries that pixels need, by their tags.

    Raises:
        ValueError: they claim more than a file of this size can hold.
    """
    kept = {x.tag: x for x in reversed(found.entries) if x.tag in PIXEL_TAGS}
    if sum(entry.num_bytes for entry in kept.values()) > len(content):
        raise ValueError("damaged: its directory claims more bytes than the file has")
    _check_counts(found, kept)
    _check_tiles(found, content)
    return kept


def _extracted(content: Content, found: Directory, kept: Mapping[int, Entry]) -> bytes | None:
    """Copies a page with its values and its strips or tiles, but nothing else of the file.

    A file of a thousand pages is read a thousand times in whole otherwise. Returns None if the
    sizes of the strips are missing, or may be wrong.
    """
    starts, sizes = next(
        ((a, b) for a, b in ((273, 279), (324, 325)) if a in kept and b in kept), (0, 0)
    )
    places, lengths = found.numbers(content, starts), found.numbers(content, sizes)
    samples = found.first_of(content, SAMPLES_PER_PIXEL, 1) * found.first_of(content, BITS, 1)
    needed = found.integer(WIDTH, 0) * found.integer(HEIGHT, 0) * samples // 8
    is_packed = found.integer(COMPRESSION, 1) != 1
    if (
        found.integer(COMPRESSION, 1) == OLD_JPEG
        or not places
        or len(places) != len(lengths)
        or sum(lengths) > len(content)
        or not (is_packed or sum(lengths) >= needed)
    ):
        return None
    number = struct.Struct(found.order + ("Q" if found.is_big else "I"))
    head = struct.Struct(found.order + ("HHQ" if found.is_big else "HHI"))
    new = bytearray(content[0 : 16 if found.is_big else 8])

    def append(data: bytes) -> int:
        new.extend(bytes(-len(new) % 8))
        new.extend(data)
        return len(new) - len(data)

    moved = [append(content[at : at + size]) for at, size in zip(places, lengths, strict=True)]
    records = []
    for tag in sorted(kept):
        entry = kept[tag]
        kind, count, value = entry.type, entry.count, entry.value
        if tag == starts:
            kind = LONG8 if found.is_big else LONG
            value, count = b"".join(map(number.pack, moved)), len(moved)
            value = value if len(value) == number.size else number.pack(append(value))
        elif entry.num_bytes > len(value):
            data, at = found.data_of(entry, content)
            value = number.pack(append(data[at : at + entry.num_bytes]))
        records.append(head.pack(tag, kind, count) + value)
    width = "Q" if found.is_big else "H"
    directory = struct.pack(found.order + width, len(records)) + b"".join(records)
    number.pack_into(new, 8 if found.is_big else 4, append(directory + bytes(number.size)))
    return bytes(new)


def _with_one_directory(content: bytes, found: Directory, kept: Mapping[int, Entry]) -> bytes:
    """Appends a directory of the tags that pixels need, and makes it the only one."""
    at = len(content) + len(content) % 2
    count, end = ("Q", bytes(8)) if found.is_big else ("H", bytes(4))
    records = b"".join(kept[tag].record for tag in sorted(kept))
    new = io.BytesIO()
    new.write(content)
    new.seek(at)
    new.write(struct.pack(found.order + count, len(kept)) + records + end)
    new.seek(8 if found.is_big else 4)
    new.write(struct.pack(found.order + ("Q" if found.is_big else "I"), at))
    return new.getvalue()


def _check_counts(found: Directory, kept: Mapping[int, Entry]) -> None:
    """Refuses lists that Python would need many times as much memory for as they have bytes."""
    width, height = found.integer(WIDTH, 0), found.integer(HEIGHT, 0)
    max_parts = MAX_SAMPLES * (height + width * height // MIN_PART)
    for entry in kept.values():
        if entry.count > (max_parts if entry.tag in PARTS else MAX_VALUES):
            if entry.type not in BYTES:
                raise ValueError(f"damaged: tag {entry.tag} has {entry.count} values")


def _check_tiles(found: Directory, content: Content) -> None:
    width, height = found.integer(WIDTH, 0), found.integer(HEIGHT, 0)
    part = found.integer(TILE_WIDTH, 0) * found.integer(TILE_LENGTH, 0)
    if part > max(4 * width * height, MAX_TILE_PIXELS):
        raise ValueError("damaged: its tiles are larger than the image")
    if found.integer(COMPRESSION, 1) in JPEG:
        part = part or width * min(found.integer(ROWS_PER_STRIP, height), height)
        check_scans(content[0 : len(content)], 0, part)
