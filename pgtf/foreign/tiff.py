"""Directories of TIFF files and of EXIF data, which have the same form."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import struct
from collections.abc import Mapping, Sequence

from pgtf.foreign.limits import UnreadableKind, check_scans

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_ENTRIES = 4096  # A directory of a real file has fewer than a hundred.
MAX_TILE_PIXELS = 1 << 20  # A tile may have so many pixels even if the image is smaller.
# Type of a value -> its bytes. TIFF 6.0, section 2, and BigTIFF.
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_SIZES |= {16: 8, 17: 8, 18: 8}
INTEGERS = (1, 3, 4, 6, 8, 9, 13, 16, 18)
WIDTH, HEIGHT, COMPRESSION, ORIENTATION = 256, 257, 259, 274
PARTS = (273, 279, 324, 325)  # offsets and sizes of strips and of tiles
MAX_SAMPLES, MIN_PART = 6, 256  # samples per pixel; pixels of a tile
MAX_VALUES = 1 << 18  # A palette of 65536 colors has 196,608.
BYTES = (1, 2, 6, 7)  # types that Pillow keeps as bytes
ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 278, 322, 323
JPEG = (6, 7)  # values of COMPRESSION
SUBFILE, BITS, PHOTOMETRIC, SUBDIRECTORIES, SAMPLE_FORMAT = 254, 258, 262, 330, 339
SHORT = 3  # a type
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
# Tags that decoding needs: size, samples, compression and its tables, strips or tiles, palette,
# color space and profile.
PIXEL_TAGS = frozenset(
    (*range(256, 260), 262, 263, 266, 273, *range(277, 282), 284, 290, 291, 292, 293)
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
    place: int = 0  # in the file
    next: int = 0  # place of the next directory; 0 = there is none

    @property
    def is_picture(self) -> bool:
        """False for a smaller copy of another picture, and for a mask."""
        return not self.integer(SUBFILE, 0) & (REDUCED | MASK)

    def first_of(self, content: bytes, tag: int, default: int) -> int:
        """First of the integers of a tag, which may lie anywhere in the file."""
        found = self.numbers(content, tag, 1)
        return found[0] if found else default

    def numbers(self, content: bytes, tag: int, most: int = MAX_VALUES) -> list[int]:
        """Integers of a tag, which may lie anywhere in the file; [] if it is missing."""
        for entry in self.entries:
            if entry.tag == tag and entry.type in INTEGERS:
                data, at = self.data_of(entry, content)
                size = TYPE_SIZES[entry.type]
                places = range(at, at + size * min(entry.count, most), size)
                return [self.number(data[place : place + size]) for place in places]
        return []

    def data_of(self, entry: Entry, content: bytes) -> tuple[bytes, int]:
        """Returns the bytes that hold a value, and its place in them."""
        if entry.num_bytes <= len(entry.value):
            return entry.value, 0
        return content, self.number(entry.value)

    def number(self, data: bytes) -> int:
        """Value of an unsigned integer."""
        return int.from_bytes(data, "little" if self.order == "<" else "big")

    def integer(self, tag: int, default: int) -> int:
        """Value of a tag that has one integer; the default if it is missing or of another type."""
        for entry in self.entries:
            if entry.tag == tag and entry.type in INTEGERS and entry.count == 1:
                return self.number(entry.value[: TYPE_SIZES[entry.type]])
        return default


def read_directory(content: bytes, start: int | None = None) -> Directory:
    """Reads a directory of a TIFF file or of EXIF data.

    Args:
        content: the file.
        start: place of the directory; None = the first one.

    Raises:
        ValueError: there is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    try:
        if order is None:
            raise ValueError("damaged: not a TIFF file")
        is_big = 43 in content[2:4]
        offset = struct.Struct(order + ("Q" if is_big else "I"))
        if start is None:
            (start,) = offset.unpack_from(content, 8 if is_big else 4)
        place = start
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
        end = start + size * count
        following = offset.unpack_from(content, end)[0] if end + offset.size <= len(content) else 0
    except (struct.error, OverflowError):
        raise ValueError("damaged: its directory is cut off") from None
    return Directory(order, is_big, tuple(entries), place, following)


def directories(content: bytes) -> list[Directory]:
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


def _is_camera_raw(content: bytes, found: Sequence[Directory]) -> bool:
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
    """The orientation in EXIF data, 1 to 8; 0 if it is missing or the data are damaged."""
    try:
        found = read_directory(exif.removeprefix(b"Exif\0\0")).integer(ORIENTATION, 0)
    except ValueError:
        return 0
    return found if found <= 8 else 0


@dataclasses.dataclass(frozen=True)
class Plain:
    """One page of a TIFF file, as a file of its own."""

    content: bytes
    num_pages: int  # of the file that it is from
    bits: int  # per sample
    sample_format: int  # UNSIGNED, SIGNED, FLOAT or another
    is_inverted: bool  # 0 is white, although the content says that it is black
    orientation: int  # as in EXIF data, 1 to 8; the content has none


def plain_tiff(content: bytes, page: int = 0) -> Plain:
    """Returns a TIFF file whose only directory has nothing but what one page's pixels need.

    Smaller copies of other pages, and masks, do not count as pages.

    Args:
        content: the file.
        page: number of the page.

    Raises:
        ValueError: the directory is damaged, or claims more than a file of this size can hold; or
            a camera wrote the file, whose thumbnails would be taken for its picture.
    """
    all_pages = directories(content)
    if _is_camera_raw(content, all_pages):
        raise UnreadableKind(CAMERA_RAW)
    pages = [found for found in all_pages if found.is_picture] or all_pages[:1]
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
    if (bits, sample_format, found.order) == (32, UNSIGNED, ">"):  # Pillow knows only signed ones.
        changes[SAMPLE_FORMAT] = SIGNED
    plain = _with_one_directory(content, _changed(found, changes))
    turned = found.integer(ORIENTATION, 1)
    turned = turned if 1 <= turned <= 8 else 1
    return Plain(plain, len(pages), bits, sample_format, is_inverted, turned)


def _changed(found: Directory, changes: Mapping[int, int]) -> Directory:
    """Sets tags of a directory to 16-bit integers."""
    form = found.order + ("HHQH6x" if found.is_big else "HHIH2x")
    entries = [entry for entry in found.entries if entry.tag not in changes]
    for tag, value in changes.items():
        record = struct.pack(form, tag, SHORT, 1, value)
        entries.append(Entry(tag, SHORT, 1, record, record[12 if found.is_big else 8 :]))
    return dataclasses.replace(found, entries=tuple(entries))


def _with_one_directory(content: bytes, found: Directory) -> bytes:
    """Appends a directory of the tags that pixels need, and makes it the only one."""
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
