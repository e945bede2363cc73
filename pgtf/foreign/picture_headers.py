"""Headers of image files, checked or rewritten before a decoder sees them.

Pillow reads metadata that pixels do not need, and some decoders allocate what a header claims.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from pgtf.foreign import tiff
from pgtf.foreign.limits import check_scans

JPEG_START = b"\xff\xd8\xff"
PREFIX_BYTES = 1 << 16  # read first if only the size of a JPEG image is wanted
# Markers of JPEG, ITU-T T.81 table B.1.
WITHOUT_BODY = {0x01, *range(0xD0, 0xD9)}
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SOI, EOI, SOS, COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATIONS = range(0xE0, 0xF0)
JFIF = b"JFIF\0"
KEPT = (JFIF, b"ICC_PROFILE\0", b"Adobe")  # application segments that pixels need
# libjpeg warns about other values of these bytes, and decodes the same pixels: the version in a
# JFIF segment, and the end of the header of a scan without progression, which some cameras leave 0.
JFIF_VERSION = b"\1\1"
SEQUENTIAL = (0xC0, 0xC1, 0xC9)
WHOLE_SPECTRUM = b"\0\x3f\0"
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
MARKER = re.compile(rb"\xff([^\x00\xff])")
MAX_SEGMENTS = 8192  # before the first scan; an ICC profile takes 255 at most
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
UNNEEDED_CHUNKS = (b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"tIME", b"pHYs")  # No pixel needs them.
MAX_CHECKED = 1 << 24  # bytes of such a chunk
MAX_CHUNKS = 1 << 18  # of a PNG file: 2 GiB in chunks of 8 KiB
# The entry of EXIF data in the list of parts of an AVIF file: version, number, type.
AVIF_EXIF = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})Exif", re.DOTALL)
MAX_BLOCKS = 8192  # of 255 bytes each, before the first image of a GIF file
# Bounds of JPEG 2000: a decoder keeps a record of each part, however small.
FREE_TILES, MIN_TILE = 1024, 1 << 12  # number that any image may have; least pixels of more
SMALL, MIN_BLOCK = 1 << 18, 1 << 8  # pixels: smaller images may have smaller blocks
MAX_LAYERS = 1000
MAX_CODESTREAMS = 16


class Jpeg(NamedTuple):
    """A JPEG file without its metadata."""

    content: bytes
    size: tuple[int, int]  # width, height
    num_components: int  # 1 gray, 3 colors, 4 CMYK
    exif: bytes  # b"" = none
    xmp: bytes


def read_jpeg(file: IO[bytes], pixels: bool) -> Jpeg:
    """Reads a JPEG file up to the first scan, or whole if its pixels are needed.

    Raises:
        ValueError: the file is damaged, or decoding it would take too long.
    """
    content = file.read() if pixels else file.read(PREFIX_BYTES)
    found = _jpeg_header(content)
    if found is None and not pixels:
        content += file.read()
        found = _jpeg_header(content)
    if found is None:
        raise ValueError("damaged: it ends before its image")
    header, scan, num_extra = found
    if pixels:
        if num_extra and _is_thumbnail(content, scan):
            raise _extraneous(num_extra)
        check_scans(content, scan, header.size[0] * header.size[1])
        header = header._replace(content=header.content + content[scan:])
    return header


def _is_thumbnail(content: bytes, scan: int) -> bool:
    """True if another scan follows the end of the picture, but no other file.

    A wrong length of EXIF data may lay open the picture in them.
    """
    end = content.find(b"\xff\xd9", scan)
    another, file = content.find(b"\xff\xda", end), content.find(JPEG_START, end)
    return -1 < end < another and not -1 < file < another


def _extraneous(num_bytes: int) -> ValueError:
    return ValueError(f"damaged JPEG data ({num_bytes} extraneous bytes in its header)")


def _jpeg_header(content: bytes) -> tuple[Jpeg, int, int] | None:
    """Reads the header of a JPEG file.

    Returns:
        None if there is no scan; otherwise the header, the place of the first scan's data, and the
        number of bytes that a wrong length of metadata leaves over.
    """
    kept = [content[:2]]
    metadata: dict[bytes, list[bytes]] = {EXIF: [], XMP: []}
    at, size, num_components, is_sequential = 2, (0, 0), 0, False
    num_extra, is_needed = 0, False  # The latter is about the segment before.
    for _ in range(MAX_SEGMENTS):
        marker = MARKER.search(content, at)
        if marker is None or marker[1][0] == EOI:
            return None
        kind, begin = marker[1][0], marker.start()
        if content[at:begin].strip(b"\xff"):
            if is_needed:
                raise _extraneous(begin - at)
            num_extra += begin - at
        at = marker.end()
        if kind == SOI:
            raise ValueError("damaged JPEG data (another file begins in its header)")
        if kind in WITHOUT_BODY:
            continue
        end = at + int.from_bytes(content[at : at + 2], "big")
        body = content[at + 2 : end]
        if end > len(content) or end < at + 2:
            return None
        segment = content[begin:end]
        if kind == SOS:
            if is_sequential:
                segment = segment[:-3] + WHOLE_SPECTRUM
            header, (exif, xmp) = b"".join([*kept, segment]), map(_first, metadata.values())
            return Jpeg(header, size, num_components, exif, xmp), end, num_extra
        if kind in FRAMES:
            is_sequential, num_components = kind in SEQUENTIAL, int.from_bytes(body[5:6], "big")
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
        if body.startswith(JFIF):
            segment = segment[:9] + JFIF_VERSION + segment[11:]
        is_needed = kind not in (COMMENT, *APPLICATIONS)
        for name, blocks in metadata.items():
            if not is_needed and len(body) > len(name) and body.startswith(name):
                blocks.append(body[len(name) :])
        if is_needed or body.startswith(KEPT):
            kept.append(segment)
        at = end
    raise ValueError("damaged: too many segments before its image")


def _first(blocks: list[bytes]) -> bytes:
    """Returns the first block of metadata, or the first that gives an orientation as EXIF data."""
    turning = (block for block in blocks if tiff.orientation_of(block))
    return blocks[0] if len(blocks) == 1 else next(turning, (*blocks, b"")[0])


def checked_png(file: IO[bytes]) -> IO[bytes]:
    """Returns a PNG file without those metadata whose checksum is wrong, as libpng reads it.

    Pillow refuses such a file, of which every pixel may be right.

    Raises:
        ValueError: walking its chunks would take minutes.
    """
    kept, start, at = [], 0, len(PNG_SIGNATURE)
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        size = int.from_bytes(head[:4], "big")
        end = at + 12 + size  # length, name, data and checksum
        if head[4:] in UNNEEDED_CHUNKS and size <= MAX_CHECKED:
            body = file.read(size + 4)
            if len(body) == size + 4 and zlib.crc32(head[4:] + body[:-4]) != _number(body[-4:]):
                kept.append((start, at))
                start = end
        at = end
    else:
        raise ValueError(f"must have at most {MAX_CHUNKS} chunks")
    file.seek(0)
    if not kept:
        return file
    content = file.read()
    return io.BytesIO(b"".join(content[a:b] for a, b in [*kept, (start, len(content))]))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def check_gif(file: IO[bytes]) -> None:
    """Refuses a GIF file with megabytes of comments before its first image."""
    head = file.read(13)
    if len(head) == 13 and head[10] & 0x80:
        file.seek(3 << (head[10] & 7) + 1, io.SEEK_CUR)  # the palette
    for _ in range(MAX_BLOCKS):
        if file.read(1) != b"!":
            return
        file.read(1)
        for _ in range(MAX_BLOCKS):
            size = file.read(1)
            if size in (b"", b"\0"):
                break
            file.seek(size[0], io.SEEK_CUR)
        else:
            break
    else:
        return
    raise ValueError("has too many comments before its image")


def webp_size(head: bytes) -> tuple[int, int] | None:
    """Size of a WebP image from its first 30 bytes: a decoder allocates memory to tell it."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def without_exif(content: bytes) -> bytes:
    """Returns an AVIF file whose EXIF data are of a type that nobody knows.

    Pillow parses these when it opens the file, refuses it if they are damaged, and writes them
    again if it is turned, which odd values make impossible. The orientation of AVIF is stored
    elsewhere.
    """
    return AVIF_EXIF.sub(rb"\1none", content)


def check_jpeg2000(content: bytes) -> None:
    """Refuses a JPEG 2000 file of so many parts that a decoder would need gigabytes for them."""
    for number, start in enumerate(re.finditer(rb"\xff\x4f\xff\x51", content)):
        if number == MAX_CODESTREAMS:
            raise ValueError("must have fewer images")
        _check_codestream(content, start.start())


def _check_codestream(content: bytes, at: int) -> None:
    width, height, left, top, *tile = struct.unpack_from(">6I", content, at + 8)
    num_pixels = max(width - left, 0) * max(height - top, 0)
    num_tiles = -(-width // max(tile[0], 1)) * -(-height // max(tile[1], 1))
    if num_tiles > max(FREE_TILES, num_pixels // MIN_TILE):
        raise ValueError(f"must have larger tiles, found {tile[0]}x{tile[1]}")
    if num_pixels <= SMALL:
        return
    for is_default, body in _coding_styles(content, at + 2):
        layers = int.from_bytes(body[2:4], "big") if is_default else 0
        style, codes = (body[0], body[6:]) if is_default else (body[1], body[3:])
        block = 1 << (codes[0] & 15) + (codes[1] & 15) + 4
        precincts = [1 << (x & 15) + (x >> 4) for x in codes[4:]] if style & 1 else []
        if layers > MAX_LAYERS or block < MIN_BLOCK or min(precincts, default=block) < MIN_BLOCK:
            raise ValueError("must be divided into fewer layers and blocks")


def _coding_styles(content: bytes, at: int) -> Iterator[tuple[bool, bytes]]:
    """Yields (False = of one component, body) of the coding styles in all headers of JPEG 2000."""
    part = 0
    for _ in range(MAX_SEGMENTS):
        marker, length = content[at : at + 2], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == b"\xff\x90":  # a tile part; 0 = it is the last one
            part = int.from_bytes(content[at + 6 : at + 10], "big")
            end_of_part = at + part
        if marker == b"\xff\x93":  # its data
            if not part:
                return
            at = end_of_part
            continue
        if marker[:1] != b"\xff" or at + length >= len(content):
            return
        if marker in (b"\xff\x52", b"\xff\x53"):
            yield marker == b"\xff\x52", content[at + 4 : at + 2 + length]
        at += 2 + length
    raise ValueError("damaged: too many segments")
