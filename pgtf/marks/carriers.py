"""XMP packets as the file formats hold them."""

from __future__ import annotations

import struct
import zlib
from typing import IO

from pgtf.foreign.xmp import GIF_EXTENSION, MP4_UUID, PNG_KEYWORD

PNG_HEADER_BYTES = 33  # signature and the chunk IHDR
# Ends an XMP block in a GIF file: wherever a reader of blocks enters it, its bytes lead to the end.
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"


def png_chunk(packet: bytes) -> bytes:
    """Makes the chunk of a PNG file that holds a packet, uncompressed as XMP asks."""
    content = b"iTXt" + PNG_KEYWORD + b"\0\0\0\0\0" + packet
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def in_png(content: bytes, packet: bytes) -> bytes:
    """Inserts a packet, unless it is empty, into a PNG file; the other bytes stay."""
    if not packet:
        return content
    return content[:PNG_HEADER_BYTES] + png_chunk(packet) + content[PNG_HEADER_BYTES:]


def gif_block(packet: bytes) -> bytes:
    """Makes the block of a GIF file that holds a packet."""
    return b"!\xff\x0b" + GIF_EXTENSION + packet + _GIF_END


def webp_chunk(packet: bytes) -> bytes:
    """Makes the chunk of a WebP file that holds a packet."""
    return b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)


def append_to_mp4(file: IO[bytes], packet: bytes) -> None:
    """Appends the box that holds a packet; offsets in the film stay right, because it is the last.

    Args:
        file: an MP4 file, at its end.
        packet: the packet.
    """
    file.write(struct.pack(">I", 8 + len(MP4_UUID) + len(packet)) + b"uuid" + MP4_UUID + packet)
