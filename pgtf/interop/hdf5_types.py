"""Messages of HDF5 objects: types of values, shapes and attributes, as h5py writes them."""

from __future__ import annotations

import math
import struct

import numpy as np

_MAX_RANK = 32  # of HDF5
_MAX_VALUES = 2**48  # of one array, sizes of zero not counted
# Properties of IEEE floats by size: bits, begin and size of exponent and mantissa, bias; sign bit.
_FLOATS = {
    2: ((0, 16, 10, 5, 0, 10, 15), 15),
    4: ((0, 32, 23, 8, 0, 23, 127), 31),
    8: ((0, 64, 52, 11, 0, 52, 1023), 63),
}
_INTEGER, _FLOAT, _ENUM, _VARIABLE = 0, 1, 8, 9  # classes of datatypes
_FLOAT_BITS = 0x20  # little-endian, without padding, with an implied leading bit


class FormatError(ValueError):
    """Raised if a file is damaged, or not one that this program writes; the message says why."""


class Damaged(FormatError):
    """Raised if a file cannot be a whole HDF5 file of this program."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"damaged HDF5 file ({reason}).")


def shape_of(message: bytes) -> tuple[int, ...]:
    """Reads a dataspace; () is a scalar."""
    version, rank, _, kind = unpack("<4B", message)
    if version not in (1, 2) or rank > _MAX_RANK or (version == 2 and kind > 1):
        raise Damaged("a shape of another kind")
    shape = unpack(f"<{rank}Q", message, 8 if version == 1 else 4)
    if math.prod(max(size, 1) for size in shape) > _MAX_VALUES:
        raise Damaged("an impossible shape")
    return shape


def dtype_of(message: bytes) -> np.dtype | None:
    """Reads the datatype of numbers or truth values; None for any other."""
    kind, bits, more_bits, _, size = unpack("<4BI", message)
    kind &= 0x0F
    if kind == _ENUM:
        is_truth = size == 1 and b"FALSE" in message and b"TRUE" in message
        return np.dtype(bool) if is_truth else None
    order = "<>"[bits & 1]
    if kind == _INTEGER and size in (1, 2, 4, 8):
        if unpack("<2H", message, 8) == (0, 8 * size):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    if kind == _FLOAT and size in _FLOATS:
        properties, sign_bit = _FLOATS[size]
        if (unpack("<2H4BI", message, 8), more_bits) == (properties, sign_bit):
            if bits & ~1 == _FLOAT_BITS:
                return np.dtype(f"{order}f{size}")
    return None


def is_text(message: bytes) -> bool:
    """True for the datatype of text of any length."""
    kind, bits, *_ = unpack("<4BI", message)
    return kind & 0x0F == _VARIABLE and bits & 0x0F == 1


def attribute(message: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Splits an attribute into its name, datatype, dataspace and data."""
    version, flags, *sizes = unpack("<2B3H", message)
    if version not in (1, 3) or (version == 3 and flags):
        raise Damaged("an attribute of another kind")
    parts, position = [], 8 if version == 1 else 9
    for size in sizes:
        parts.append(message[position : position + size])
        position += -(-size // 8) * 8 if version == 1 else size
    return text_of(parts[0].rstrip(b"\0")), parts[1], parts[2], message[position:]


def text_of(content: bytes) -> str:
    """Decodes a name or a text."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Damaged("text that is not UTF-8") from None


def unpack(layout: str, message: bytes, offset: int = 0) -> tuple[int, ...]:
    """Reads numbers of a message."""
    try:
        return struct.unpack_from(layout, message, offset)
    except struct.error:
        raise Damaged("a fact about an object is incomplete") from None


def shown(name: str) -> str:
    """Returns a name from a file as it may appear in a message."""
    return name if name.isprintable() and len(name) <= 200 else repr(name[:200])
