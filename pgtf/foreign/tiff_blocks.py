"""Strips and tiles of a TIFF file as numbers of any type, in any layout and compression of bytes.

Pillow decompresses them as if each byte were a gray pixel; types, order, predictors and planes are
computed here. Pillow itself knows few types, and reads some of them wrongly.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pgtf.foreign import tiff

ROWS_PER_STRIP, NUM_SAMPLES, PLANES, FILL_ORDER = 278, 277, 284, 266  # tags
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
PREDICTOR, TILE_WIDTH, TILE_LENGTH = 317, 322, 323
SEPARATE = 2  # value of PLANES
NONE, LZW, DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, (8, 32946), 32773, 34925, 50000  # of COMPRESSION
OF_BYTES = (NONE, LZW, *DEFLATE, PACKBITS, LZMA, ZSTD)
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3  # values of PREDICTOR
WHOLE_BYTES, PACKED_BITS = (8, 16, 32, 64), range(9, 16)  # numbers of bits that are read
BAND_BYTES = 1 << 24  # decompressed at a time, if strips or tiles are smaller
FREE_BYTES, BYTES_PER_BYTE = 1 << 27, 16  # that any file, and a larger one, may decompress to
KINDS = {tiff.UNSIGNED: "u", tiff.SIGNED: "i", tiff.FLOAT: "f"}  # of NumPy
LONG = 4  # a type


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places and types of the numbers of a page."""

    width: int
    height: int
    channels: int
    bits: int  # of a number
    kind: str  # of NumPy: u, i or f
    order: str  # of bytes: < or >
    compression: int
    predictor: int
    is_separate: bool  # one plane per channel
    is_tiled: bool
    block: tuple[int, int]  # height and width of a strip or tile

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the numbers on this machine."""
        return np.dtype(f"{self.kind}{2 if self.bits in PACKED_BITS else self.bits // 8}")

    @property
    def num_bytes(self) -> int:
        """Bytes of all numbers as they are stored."""
        return self.width * self.height * self.channels * self.bits // 8

    @property
    def per_plane(self) -> int:
        """Channels in a plane."""
        return 1 if self.is_separate else self.channels

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a strip or tile."""
        return -(-self.block[1] * self.per_plane * self.bits // 8)


def layout_of(content: tiff.Content, found: tiff.Directory) -> Layout | None:
    """Describes the numbers of a page; None if `read_values` cannot read them."""
    width, height = found.integer(tiff.WIDTH, 0), found.integer(tiff.HEIGHT, 0)
    bits = {*(found.numbers(content, tiff.BITS) or [1])}
    kinds = {KINDS.get(x) for x in found.numbers(content, tiff.SAMPLE_FORMAT) or [tiff.UNSIGNED]}
    compression, predictor = found.integer(tiff.COMPRESSION, NONE), found.integer(PREDICTOR, 1)
    if len(bits) != 1 or len(kinds) != 1 or compression not in OF_BYTES or min(width, height) < 1:
        return None
    (num_bits,), (kind,) = bits, kinds
    is_packed = num_bits in PACKED_BITS and kind == "u" and predictor == 1
    is_whole = num_bits in WHOLE_BYTES and (kind, num_bits) != ("f", 8)
    is_predicted = predictor in (1, DIFFERENCES) or (predictor, kind) == (FLOAT_DIFFERENCES, "f")
    if kind is None or not (is_packed or (is_whole and is_predicted)):
        return None
    is_tiled = bool(found.numbers(content, TILE_OFFSETS, 1))
    if is_tiled:
        block = found.integer(TILE_LENGTH, 0), found.integer(TILE_WIDTH, 0)
    else:
        block = min(found.integer(ROWS_PER_STRIP, height), height), width
    if min(block) < 1:
        return None
    return Layout(
        width,
        height,
        found.first_of(content, NUM_SAMPLES, 1),
        num_bits,
        kind,
        found.order,
        compression,
        predictor if compression != NONE else 1,  # as libtiff does
        found.integer(PLANES, 1) == SEPARATE,
        is_tiled,
        block,
    )


def check_bytes(layout: Layout, num_bytes: int) -> None:
    """Refuses a small file that would be decompressed to very much."""
    if layout.num_bytes > max(FREE_BYTES, BYTES_PER_BYTE * num_bytes):
        raise ValueError(f"claims {layout.num_bytes} bytes of values, too many for its {num_bytes}")


def read_values(content: tiff.Content, found: tiff.Directory, layout: Layout) -> np.ndarray:
    """Reads the numbers of a page -> [H, W, C].

    Raises:
        ValueError: the data are damaged.
    """
    values = np.empty((layout.height, layout.width, layout.channels), layout.dtype)
    for plane in range(layout.channels if layout.is_separate else 1):
        last = plane + 1 if layout.is_separate else None
        for top, rows in _bands(content, found, layout, plane):
            values[top : top + len(rows), :, plane:last] = rows[: layout.height - top]
    return values


def _bands(
    content: tiff.Content, found: tiff.Directory, layout: Layout, plane: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, numbers [h, W, channels of a plane]) of parts of a plane."""
    places, sizes = (
        found.numbers(content, tag)
        for tag in ((TILE_OFFSETS, TILE_BYTES) if layout.is_tiled else (STRIP_OFFSETS, STRIP_BYTES))
    )
    high, wide = layout.block
    down, across = -(-layout.height // high), -(-layout.width // wide)
    start = plane * down * across
    if len(places) < start + down * across:
        raise ValueError("damaged: it ends before its image")
    wanted = high * layout.row_bytes
    most = wanted if layout.compression == NONE else 2 * wanted + 1024  # LZW may make data longer.
    sizes = (
        [min(size, most) for size in sizes] if len(sizes) == len(places) else [most] * len(places)
    )
    at_once = max(BAND_BYTES // (wanted * across), 1)
    step = max(
        BAND_BYTES // (layout.row_bytes * across * (8 if layout.bits in PACKED_BITS else 1)), 1
    )
    for first in range(0, down, at_once):
        last = min(first + at_once, down)
        height = (last - first) * high
        if not layout.is_tiled:  # The last strip may be shorter.
            height = min(height, layout.height - first * high)
        blocks = slice(start + first * across, start + last * across)
        parts = [content[a : a + n] for a, n in zip(places[blocks], sizes[blocks], strict=True)]
        fill_order = found.integer(FILL_ORDER, 1)
        data = _unpacked(layout, parts, height, across, fill_order)
        for row in range(0, height, step):
            numbers = _numbers(layout, data[row : row + step], across)
            if (top := first * high + row) < layout.height:
                yield top, numbers[: layout.height - top, : layout.width]


def _unpacked(
    layout: Layout, parts: Sequence[bytes], height: int, across: int, fill_order: int
) -> np.ndarray:
    """Decompresses strips or tiles -> uint8 [height, bytes of a row]."""
    offsets, new = [], bytearray(b"II*\0\0\0\0\0")
    for part in parts:
        offsets.append(len(new))
        new += part + bytes(len(part) % 2)
    tags = {
        tiff.WIDTH: [layout.row_bytes * across],
        tiff.HEIGHT: [height],
        tiff.BITS: [8],
        tiff.COMPRESSION: [layout.compression],
        tiff.PHOTOMETRIC: [tiff.BLACK_IS_ZERO],
        FILL_ORDER: [fill_order],
        NUM_SAMPLES: [1],
    }
    sizes = list(map(len, parts))
    if layout.is_tiled:
        tags |= {TILE_WIDTH: [layout.row_bytes], TILE_LENGTH: [layout.block[0]]}
        tags |= {TILE_OFFSETS: offsets, TILE_BYTES: sizes}
    else:
        tags |= {ROWS_PER_STRIP: [layout.block[0]], STRIP_OFFSETS: offsets, STRIP_BYTES: sizes}
    from PIL import TiffImagePlugin  # takes a quarter of the time to import all readers

    picture = TiffImagePlugin.TiffImageFile(io.BytesIO(_with_tags(new, tags)))
    try:
        return np.asarray(picture)
    except OSError:
        what = "damaged: it ends before its image, or cannot be decompressed"
        raise ValueError(what) from None


def _with_tags(new: bytearray, tags: Mapping[int, Sequence[int]]) -> bytes:
    """Appends a directory to the content of a little-endian file, and makes it the first."""
    records = b""
    for tag in sorted(tags):
        value = struct.pack(f"<{len(tags[tag])}I", *tags[tag])
        if len(value) > 4:
            new += bytes(len(new) % 2)
            at, value = len(new), value
            new += value
            value = struct.pack("<I", at)
        records += struct.pack("<HHI", tag, LONG, len(tags[tag])) + value
    new += bytes(len(new) % 2)
    struct.pack_into("<I", new, 4, len(new))
    return bytes(new) + struct.pack("<H", len(tags)) + records + bytes(4)


def _numbers(layout: Layout, data: np.ndarray, across: int) -> np.ndarray:
    """Interprets rows of bytes: uint8 [h, bytes] -> numbers [h, across * block, channels]."""
    height, channels = len(data), layout.per_plane
    wide = layout.block[1]
    rows = data.reshape(height, across, layout.row_bytes)
    if layout.bits in PACKED_BITS:
        count = wide * channels
        bits = np.unpackbits(rows, axis=2)[:, :, : count * layout.bits]
        padded = np.zeros((height, across, count, 16), np.uint8)
        padded[..., 16 - layout.bits :] = bits.reshape(height, across, count, layout.bits)
        values = np.packbits(padded, axis=3).view(">u2").astype(np.uint16)
        return values.reshape(height, across * wide, channels)
    size = layout.bits // 8
    order = layout.order
    if layout.predictor == FLOAT_DIFFERENCES:  # The first bytes of all numbers, the second, ...
        sums = rows.reshape(height, across, size * wide, channels).cumsum(axis=2, dtype=np.uint8)
        planes = sums.reshape(height, across, size, wide * channels)
        rows, order = np.ascontiguousarray(planes.transpose(0, 1, 3, 2)), ">"
    numbers = np.ascontiguousarray(rows).view(f"{order}u{size}")
    numbers = numbers.astype(f"u{size}", copy=False).reshape(height, across, wide, channels)
    if layout.predictor == DIFFERENCES:
        numbers = numbers.cumsum(axis=2, dtype=numbers.dtype)
    return numbers.view(layout.dtype).reshape(height, across * wide, channels)
