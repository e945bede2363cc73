"""Directories of TIFF files and of EXIF data, which have the same form."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections.abc import Sequence
from typing import Protocol

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_ENTRIES = 4096  # A directory of a real file has fewer than a hundred.
# Type of a value -> its bytes. TIFF 6.0, section 2, and BigTIFF.
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZES |= {16: 8, 17: 8, 18: 8}
INTEGERS = (1, 3, 4, 6, 8, 9, 13, 16, 18)
WIDTH, HEIGHT, COMPRESSION, ORIENTATION = 256, 257, 259, 274
MAX_VALUES = 1 << 18  # A palette of 65536 colors has 196,608.
SUBFILE, BITS, PHOTOMETRIC, SUBDIRECTORIES, SAMPLE_FORMAT = 254, 258, 262, 330, 339
REDUCED, MASK = 1, 4  # bits of SUBFILE
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1  # values of PHOTOMETRIC
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # values of SAMPLE_FORMAT
MAX_PAGES = 10_000  # of a file
MAX_SUBDIRECTORIES = 64  # looked at below a page; a camera writes two to four
# Signs of a camera raw file: the tag DNGVersion, and values of PHOTOMETRIC for what a sensor gives.
DNG_VERSION, SENSOR = 50706, (32803, 34892)
CAMERA_RAW = (
    "camera raw: only its thumbnail can be read; develop it to TIFF or PNG first, for example "
    "with darktable-cli or rawtherapee-cli"
)


class Content(Protocol):
    """Bytes of a file, in memory or not; only slices of them are taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...


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
    place: int = 0  # in the file
    next: int = 0  # place of the next directory; 0 = there is none

    @property
    def is_picture(self) -> bool:
        """False for a smaller copy of another picture, and for a mask."""
        return not self.integer(SUBFILE, 0) & (REDUCED | MASK)

    @property
    def orientation(self) -> int:
        """Orientation of the picture, 1 to 8; 0 if it is missing or out of range."""
        found = (self.integer_of(entry) for entry in self.entries if entry.tag == ORIENTATION)
        return next((value for value in found if value is not None and 1 <= value <= 8), 0)

    def first_of(self, content: Content, tag: int, default: int) -> int:
        """First of the integers of a tag, which may lie anywhere in the file."""
        found = self.numbers(content, tag, 1)
        return found[0] if found else default

    def numbers(self, content: Content, tag: int, most: int = MAX_VALUES) -> list[int]:
        """Integers of a tag, which may lie anywhere in the file; [] if it is missing."""
        for entry in self.entries:
            if entry.tag == tag and entry.type in INTEGERS:
                data, at = self.data_of(entry, content)
                size = TYPE_SIZES[entry.type]
                block = data[at : at + size * min(entry.count, most)]
                return [self.number(block[i : i + size]) for i in range(0, len(block), size)]
        return []

    def data_of(self, entry: Entry, content: Content) -> tuple[Content, int]:
        """Returns the bytes that hold a value, and its place in them."""
        if entry.num_bytes <= len(entry.value):
            return entry.value, 0
        return content, self.number(entry.value)

    def number(self, data: bytes) -> int:
        """Value of an unsigned integer."""
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def integer(self, tag: int, default: int) -> int:
        """Value of a tag that has one integer; the default if it is missing or of another type."""
        found = (self.integer_of(entry) for entry in self.entries if entry.tag == tag)
        return next((value for value in found if value is not None), default)

    def integer_of(self, entry: Entry) -> int | None:
        """Value of an entry that has one integer, stored in its record; None for any other."""
        size = TYPE_SIZES.get(entry.type, 0)
        if entry.type not in INTEGERS or entry.count != 1 or size > len(entry.value):
            return None
        return self.number(entry.value[:size])


def read_directory(
    content: Content, start: int | None = None, *, is_whole: bool = True
) -> Directory:
    """Reads a directory of a TIFF file or of EXIF data.

    Args:
        content: the file.
        start: place of the directory; None = the first one.
        is_whole: False = EXIF data, of which those entries are returned that are there.

    Raises:
        ValueError: there is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(content[0:2])
    try:
        if order is None:
            raise ValueError("damaged: not a TIFF file")
        is_big = is_whole and 43 in content[2:4]
        offset = struct.Struct(order + ("Q" if is_big else "I"))
        if start is None:
            at = 8 if is_big else 4
            (start,) = offset.unpack(content[at : at + offset.size])
        place, width = start, 8 if is_big else 2
        (count,) = struct.unpack(order + ("Q" if is_big else "H"), content[start : start + width])
        if count > MAX_ENTRIES and is_whole:
            raise ValueError(f"damaged: its directory has {count} entries")
        head, size = struct.Struct(order + ("HHQ" if is_big else "HHI")), 20 if is_big else 12
        end = size * count
        block = content[start + width : start + width + end + offset.size]
        entries = []
        if not is_whole:
            end = min(end, len(block) - len(block) % size)
        for at in range(0, end, size):
            record = block[at : at + size]
            tag, kind, number = head.unpack_from(record)
            entries.append(Entry(tag, kind, number, record, record[head.size :]))
        following = offset.unpack_from(block, end)[0] if end + offset.size <= len(block) else 0
    except (struct.error, OverflowError):
        raise ValueError("damaged: its directory is cut off") from None
    return Directory(order, is_big, tuple(entries), place, following)


def directories(content: Content) -> list[Directory]:
    """Reads the directories of a TIFF file, one per page, until one is damaged.

    Raises:
        ValueError: the first one is damaged.
    """
    found = [read_directory(content)]
    seen = {found[0].place}
    left = len(content)  # Directories that do not overlap are no longer than the file.
    while (start := found[-1].next) and start not in seen and len(found) < MAX_PAGES:
        left -= sum(len(entry.record) for entry in found[-1].entries)
        seen.add(start)
        try:
            found.append(read_directory(content, start))
        except ValueError:
            break
        if left < 0:
            break
    return found


def is_camera_raw(content: Content, found: Sequence[Directory]) -> bool:
    """True if directories or those below them hold what a camera's sensor gave."""
    for page in found:
        if any(entry.tag == DNG_VERSION for entry in page.entries):
            return True
        if page.integer(PHOTOMETRIC, BLACK_IS_ZERO) in SENSOR:
            return True
        for start in page.numbers(content, SUBDIRECTORIES, MAX_SUBDIRECTORIES):
            with contextlib.suppress(ValueError):
                if read_directory(content, start).integer(PHOTOMETRIC, BLACK_IS_ZERO) in SENSOR:
                    return True
    return False


def orientation_of(exif: bytes) -> int:
    """The orientation in EXIF data, 1 to 8; 0 if it is missing.

    The picture is good whatever else a camera or a program wrote there, so a directory may end
    early, or claim any number of values.
    """
    try:
        return read_directory(exif.removeprefix(b"Exif\0\0"), is_whole=False).orientation
    except ValueError:
        return 0
