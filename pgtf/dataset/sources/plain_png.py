"""The quick way of reading 8-bit PNG files, several times as fast as Pillow."""

from __future__ import annotations

import contextlib
import os
import struct

import numpy as np

from pgtf.foreign.picture_headers import MAX_CHUNKS

# Signature, length and name of IHDR; then width, height, bits, color type, 2 methods, interlacing.
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
HEAD_BYTES = len(PNG_HEAD) + 17  # up to the next chunk, with the checksum
# Chunks that change how a picture looks. Those of text may hold EXIF or XMP data.
METADATA = (b"iCCP", b"eXIf", b"tRNS")
TEXTS = (b"iTXt", b"zTXt", b"tEXt")
KEYWORDS = (b"XML:com.adobe.xmp", b"Raw profile type")


def read_plain_png(path: str, size: tuple[int, int], channels: int) -> np.ndarray | None:
    """Reads an 8-bit PNG file of (height, width) pixels: -> uint8 [C, H, W].

    Returns None if the file is anything else, or damaged, or has metadata that change how it looks,
    or kornia_rs is not installed: Pillow then reads it, or reports the error. Compares the
    checksums of chunks, but not that of the compressed stream inside them.
    """
    color = {1: 0, 3: 2}[channels]
    # Compare the size before decoding: another one may not fit in memory.
    head = PNG_HEAD + struct.pack(">IIBBBBB", *size[::-1], 8, color, 0, 0, 0)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # Do not wait for a pipe.
    except NotADirectoryError:  # It is in a zip archive.
        return None
    try:
        if os.read(descriptor, len(head)) != head or _has_metadata(descriptor):
            return None
    finally:
        os.close(descriptor)
    with contextlib.suppress(Exception):
        from kornia_rs.io import read_image_png_u8

        pixels: np.ndarray = read_image_png_u8(path, "rgb" if color else "mono")
        return pixels.transpose(2, 0, 1)
    return None


def _has_metadata(descriptor: int) -> bool:
    """True for a PNG file with metadata that change how it looks, or with very many chunks."""
    at = HEAD_BYTES
    for _ in range(MAX_CHUNKS):
        start = os.pread(descriptor, 8, at)
        name = start[4:]
        if len(start) < 8 or name == b"IEND":
            return False
        if name in METADATA:
            return True
        if name in TEXTS and os.pread(descriptor, 17, at + 8).startswith(KEYWORDS):
            return True
        at += 12 + int.from_bytes(start[:4], "big")  # length, name and checksum
    return True
