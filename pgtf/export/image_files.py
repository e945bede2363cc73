"""Files of generated images in the type of the dataset: PNG of 8 or 16 bits, TIFF, .npy."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from pgtf import stored
from pgtf.depth import Depth
from pgtf.foreign import xmp
from pgtf.marks import Mark, in_png

FORMATS = ("png", "tiff", "npy")
_BYTE, _SHORT, _LONG = 1, 3, 4  # types of a TIFF file's fields
_CODES = {_BYTE: "B", _SHORT: "H", _LONG: "I"}  # for the module struct
_UINT, _FLOAT = 1, 3  # formats of its samples
_RGB, _BLACK_IS_ZERO = 2, 1  # interpretations of the first channels
_HEADER_BYTES = 8


def default_format(depth: Depth, num_channels: int) -> str:
    """Returns the format in which people of this field expect such images."""
    return stored.extension(depth.dtype, num_channels).removeprefix(".")


def check_format(file_format: str, depth: Depth, num_channels: int) -> str:
    """Returns a format that can hold the images as they are.

    Raises:
        ValueError: it cannot.
    """
    if file_format == "png" and default_format(depth, num_channels) != "png":
        raise ValueError(
            "a PNG file has 1 or 3 channels of uint8 or uint16. Received: "
            f"{num_channels} channels of {depth.dtype}. Choose --format=npy or tiff, or "
            "--preview=0,1,2 for pictures of some channels."
        )
    return file_format


def encode(image: np.ndarray, file_format: str, mark: Mark | None = None) -> bytes:
    """Encodes one image [H, W, C] without loss; .npy files have no place for a mark."""
    return _ENCODERS[file_format](image, b"" if mark is None else mark.packet)


def _tiff(image: np.ndarray, packet: bytes) -> bytes:
    """Encodes an uncompressed TIFF file of one page, with the channels of a pixel side by side.

    Adobe, TIFF 6.0, Sections 2, 6 and 19; XMP Specification, Part 3, Section 1.1.4.
    """
    height, width, channels = image.shape
    data = np.ascontiguousarray(image, image.dtype.newbyteorder("<")).tobytes()
    colors = 3 if channels == 3 else 1
    bits, sample = 8 * image.dtype.itemsize, _FLOAT if image.dtype.kind == "f" else _UINT
    fields: dict[int, tuple[int, list[int]]] = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits] * channels),
        259: (_SHORT, [1]),  # no compression
        262: (_SHORT, [_RGB if colors == 3 else _BLACK_IS_ZERO]),
        273: (_LONG, [_HEADER_BYTES]),  # offset of the pixels
        277: (_SHORT, [channels]),
        278: (_LONG, [height]),  # rows per strip
        279: (_LONG, [len(data)]),
        284: (_SHORT, [1]),  # channels side by side
        **({338: (_SHORT, [0] * (channels - colors))} if channels > colors else {}),
        339: (_SHORT, [sample] * channels),
        **({xmp.TIFF_TAG: (_BYTE, list(packet))} if packet else {}),
    }
    data += b"\0" * (len(data) % 2)
    directory = _HEADER_BYTES + len(data)
    end = directory + 2 + 12 * len(fields) + 4
    entries, rest = struct.pack("<H", len(fields)), b""
    for tag, (kind, values) in fields.items():
        content = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        if len(content) > 4:
            place, rest = struct.pack("<I", end + len(rest)), rest + content
        else:
            place = content.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    header = b"II" + struct.pack("<HI", 42, directory)
    return header + data + entries + bytes(4) + rest


_ENCODERS: dict[str, Callable[[np.ndarray, bytes], bytes]] = {
    "png": lambda image, packet: in_png(stored.as_png(image), packet),
    "tiff": _tiff,
    "npy": lambda image, _: stored.as_npy(image),
}
