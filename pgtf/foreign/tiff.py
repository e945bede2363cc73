"""Directories of TIFF files and of EXIF data, which have the same form."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Mapping

from pgtf.foreign.limits import check_scans

MAX_ENTRIES = 4096  # A directory of a real file has fewer than a hundred.
MAX_TILE_PIXELS = 1 << 20  # A tile may have so many pixels even if the image is smaller.
# Type of a value -> its bytes. TIFF 6.0, section 2, and BigTIFF.
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZES |= {16: 8, 17: 8, 18: 8}
INTEGERS = (1, 3, 4, 6, 8, 9, 16)
WIDTH, HEIGHT, COMPRESSION, ORIENTATION = 256, 257, 259, 274
PARTS = (273, 279, 324, 325)  # offsets and sizes of strips and of tiles
MAX_SAMPLES, MIN_PART = 6, 256  # samples per pixel; pixels of a tile
MAX_VALUES = 1 << 18  # A palette of 65536 colors has 196,608.
BYTES = (1, 2, 6, 7)  # types that Pillow keeps as bytes
ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 278, 322, 323
JPEG = (6, 7)  # values of COMPRESSION
# Tags that decoding needs: size, samples, compression and its tables, strips or tiles, palette,
# color space and profile.
PIXEL_TAGS = frozenset(
    (*range(256, 260), 262, 263, 266, 273, ORIENTATION, *range(277, 282), 284, 290, 291, 292, 293)
    + (301, 317, 318, 319, 320, 321, *range(322, 326), 332, 334, *range(338, 344), 347)
    + (*range(512, 522), 529, 530, 531, 532, 34675)
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One value of a directory."""

    tag: int
    type: int
    count: int
    record: bytes  # as stored: tag, type, count, and the value or its offset
    value: bytes  # the last field of the record

    @property
    def num_bytes(self) -> int:
        """Bytes of the value, wherever it is stored."""
        return TYPE_SIZES.get(self.type, 1) * self.count


@dataclasses.dataclass(frozen=True)
class Directory:
    """The first directory of a file."""

    order: str  # of bytes, as in `struct`: < or >
    is_big: bool  # BigTIFF
    entries: tuple[Entry, ...]

    def integer(self, tag: int, default: int) -> int:
        """Value of a tag that has one integer; the default if it is missing or of another type."""
        for entry in self.entries:
            if entry.tag == tag and entry.type in INTEGERS and entry.count == 1:
                data = entry.value[: TYPE_SIZES[entry.type]]
                return int.from_bytes(data, "little" if self.order == "<" else "big")
        return default


def read_directory(content: bytes) -> Directory:
    """Reads the first directory of a TIFF file or of EXIF data.

    Raises:
        ValueError: there is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    try:
        if order is None:
            raise ValueError("damaged: not a TIFF file")
        is_big = 43 in content[2:4]
        (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)
        (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), content, start)
        if count > MAX_ENTRIES:
            raise ValueError(f"damaged: its directory has {count} entries")
        start += 8 if is_big else 2
        head, size = struct.Struct(order + ("HHQ" if is_big else "HHI")), 20 if is_big else 12
        entries = []
        for at in range(start, start + size * count, size):
            record = content[at : at + size]
            tag, kind, number = head.unpack_from(record)
            entries.append(Entry(tag, kind, number, record, record[head.size :]))
    except (struct.error, OverflowError):
        raise ValueError("damaged: its directory is cut off") from None
    return Directory(order, is_big, tuple(entries))


def orientation_of(exif: bytes) -> int:
    """The orientation in EXIF data, 1 to 8; 0 if it is missing or the data are damaged."""
    try:
        found = read_directory(exif.removeprefix(b"Exif\0\0")).integer(ORIENTATION, 0)
    except ValueError:
        return 0
    return found if found <= 8 else 0


def check_exif(content: bytes) -> None:
    """Refuses EXIF data whose values would take more memory than they have bytes."""
    try:
        entries = read_directory(content).entries
    except ValueError:
        return
    if sum(entry.num_bytes for entry in entries) > len(content):
        raise ValueError("damaged EXIF data")


def plain_tiff(content: bytes) -> bytes:
    """Returns a TIFF file whose only directory has nothing but what the first image's pixels need.

    Raises:
        ValueError: the directory is damaged, or claims more than a file of this size can hold.
    """
    found = read_directory(content)
    kept = {x.tag: x for x in reversed(found.entries) if x.tag in PIXEL_TAGS}
    if sum(entry.num_bytes for entry in kept.values()) > len(content):
        raise ValueError("damaged: its directory claims more bytes than the file has")
    _check_counts(found, kept)
    _check_tiles(found, content)
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


def _check_tiles(found: Directory, content: bytes) -> None:
    width, height = found.integer(WIDTH, 0), found.integer(HEIGHT, 0)
    part = found.integer(TILE_WIDTH, 0) * found.integer(TILE_LENGTH, 0)
    if part > max(4 * width * height, MAX_TILE_PIXELS):
        raise ValueError("damaged: its tiles are larger than the image")
    if found.integer(COMPRESSION, 1) in JPEG:
        part = part or width * min(found.integer(ROWS_PER_STRIP, height), height)
        check_scans(content, 0, part)
