"""Files that hold images in their own type: PNG of 8 or 16 bits where it can, .npy otherwise."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np

from pgtf.files import write_atomically
from pgtf.images import png_bytes

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_COLORS = {1: 0, 3: 2}  # channels -> color type
PNG_DTYPES = ("uint8", "uint16")


def extension(dtype: np.dtype[np.generic] | str, num_channels: int) -> str:
    """Extension of files of such images: ".png" or ".npy"."""
    fits = np.dtype(dtype).name in PNG_DTYPES and num_channels in PNG_COLORS
    return ".png" if fits else ".npy"


def encoded(image: np.ndarray) -> bytes:
    """Encodes values [H, W, C] of uint8, uint16 or float32, as `extension` says."""
    if extension(image.dtype, image.shape[-1]) == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, image, allow_pickle=False)
        return buffer.getvalue()
    return png_bytes(image) if image.dtype == np.uint8 else _png_of_16_bits(image)


def save(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes a file, which appears whole or not at all, and whose name ends with `extension`."""
    write_atomically(path, encoded(image))


def _png_of_16_bits(image: np.ndarray) -> bytes:
    """Encodes uint16 [H, W, 1 or 3]; Pillow has no mode for colors of 16 bits."""
    height, width, channels = image.shape
    rows = np.ascontiguousarray(image, ">u2").reshape(height, -1).view(np.uint8)
    head = struct.pack(">IIBBBBB", width, height, 16, PNG_COLORS[channels], 0, 0, 0)
    lines = np.zeros((height, 1 + rows.shape[1]), np.uint8)  # Each begins with its filter, none.
    lines[:, 1:] = rows
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return PNG_START + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
