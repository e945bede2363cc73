"""Arrays of integers in files of MATLAB 5: what SVHN's file needs, and nothing else.

SciPy's reader crashes on some damaged files. This one allocates an array only if its name and shape
are wanted, and inflates no more than that.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np

from pgtf.foreign.files import PathLike, open_regular

HEADER_BYTES = 128
VERSION = b"\x00\x01IM"  # of the format, little-endian
MAX_VARIABLES = 100
MAX_NAME_BYTES = 64
MAX_RANK = 8
CHUNK = 1 << 18  # bytes that are read or inflated at once
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
# Types of stored values. MATLAB stores arrays of doubles as small integers if they are whole.
TYPES = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 12: "<i8", 13: "<u8"}
NUMERIC_CLASSES = range(6, 16)  # double, single and integers
COMPLEX = 0x08  # flag of an array with an imaginary part

MAX_FREE_BYTES = 1 << 26  # of an array whose integers have more than one byte

Shapes = Mapping[str, Sequence[tuple[int, ...]]]


class _Damaged(Exception):
    """Carries what is wrong with a file."""


def read_mat(path: PathLike, wanted: Shapes, what: str) -> dict[str, np.ndarray]:
    """Reads some arrays of integers.

    Args:
        path: the file.
        wanted: the shapes that each may have, by name. Other variables are passed over.
        what: name of the file that is wanted, for errors.

    Raises:
        ValueError: it is no such file, is damaged, or lacks an array; names the file.
        OSError: it cannot be read.
    """
    found: dict[str, np.ndarray] = {}
    try:
        with open_regular(path) as file:
            if file.read(HEADER_BYTES)[-len(VERSION) :] != VERSION:
                raise _Damaged("another format")
            for _ in range(MAX_VARIABLES):
                if found.keys() == wanted.keys() or not (tag := file.read(8)):
                    break
                kind, size = _unpack("<II", tag)
                end = file.tell() + size
                source = _Inflated(file, size) if kind == COMPRESSED else _Plain(file, tag)
                found |= _read_variable(source, wanted, found)
                file.seek(end)
        if missing := [name for name in wanted if name not in found]:
            raise _misshapen(missing[0], wanted, None)
    except (_Damaged, zlib.error) as error:
        raise ValueError(f"{path}: not {what}, or damaged ({error}).") from None
    return found


class _Plain:
    """The bytes of a variable that is stored as it is, from its tag on."""

    def __init__(self, file: IO[bytes], tag: bytes) -> None:
        self._file, self._tag = file, tag

    def read_into(self, view: memoryview) -> None:
        """Fills a buffer."""
        begin = min(len(self._tag), len(view))
        view[:begin], self._tag = self._tag[:begin], self._tag[begin:]
        while begin < len(view):
            if not (data := self._file.read(min(CHUNK, len(view) - begin))):
                raise _Damaged("it is truncated")
            view[begin : begin + len(data)] = data
            begin += len(data)


class _Inflated:
    """The bytes of a compressed variable."""

    def __init__(self, file: IO[bytes], num_bytes: int) -> None:
        self._file, self._left = file, num_bytes
        self._inflater, self._data = zlib.decompressobj(), b""

    def read_into(self, view: memoryview) -> None:
        """Fills a buffer."""
        begin = 0
        while begin < len(view):
            if not self._data and not self._inflater.eof:
                self._data = self._file.read(min(CHUNK, self._left))
                self._left -= len(self._data)
                if not self._data:
                    raise _Damaged("it is truncated")
            data = self._inflater.decompress(self._data, min(CHUNK, len(view) - begin))
            self._data = self._inflater.unconsumed_tail
            if not data and self._inflater.eof:
                raise _Damaged("it is truncated")
            view[begin : begin + len(data)] = data
            begin += len(data)


def _read_variable(
    source: _Plain | _Inflated, wanted: Shapes, found: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Reads a variable: {name: array}; {} if it is not wanted."""
    kind, _ = _unpack("<II", _take(source, 8))
    if kind != MATRIX:
        return {}
    (flags, _) = _unpack("<II", _element(source, UINT32, 8))
    dimensions = _element(source, INT32, 4 * MAX_RANK)
    shape = _unpack(f"<{len(dimensions) // 4}i", dimensions)
    name = _element(source, INT8, MAX_NAME_BYTES).decode("latin1")
    if name not in wanted:
        return {}
    if name in found or shape not in wanted[name]:
        raise _misshapen(name, wanted, shape)
    if flags & 0xFF not in NUMERIC_CLASSES or flags >> 8 & COMPLEX:
        raise _Damaged(f"`{name}` must be an array of numbers")
    kind, size, small = _tag(source)
    dtype = np.dtype(TYPES.get(kind, "V1"))
    if kind not in TYPES or size != math.prod(shape) * dtype.itemsize:
        raise _Damaged(f"`{name}` must have {math.prod(shape)} integers")
    if dtype.itemsize > 1 and size > MAX_FREE_BYTES:  # A few megabytes may unpack to gigabytes.
        raise _Damaged(f"`{name}` must have integers of one byte")
    content = bytearray(size)  # np.empty would ask for huge pages, slow to get on virtual machines
    if small:
        content[:] = small[:size]
    else:
        source.read_into(memoryview(content))
    return {name: np.frombuffer(content, dtype).reshape(shape, order="F")}


def _misshapen(name: str, wanted: Shapes, found: tuple[int, ...] | None) -> _Damaged:
    return _Damaged(f"`{name}` must be an array of shape {wanted[name][0]}, found {found}")


def _tag(source: _Plain | _Inflated) -> tuple[int, int, bytes]:
    """Reads the tag of an element: type, bytes, and the content of one of at most four bytes."""
    tag = _take(source, 8)
    kind, size = _unpack("<II", tag)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise _Damaged("an element of another size")
        return kind, size, tag[4:]
    return kind, size, b""


def _element(source: _Plain | _Inflated, kind: int, max_bytes: int) -> bytes:
    """Reads a small element of one type."""
    found, size, small = _tag(source)
    if found != kind or size > max_bytes:
        raise _Damaged("an element of another type or size")
    return small[:size] if small else _take(source, -(-size // 8) * 8)[:size]


def _take(source: _Plain | _Inflated, num_bytes: int) -> bytes:
    content = bytearray(num_bytes)
    source.read_into(memoryview(content))
    return bytes(content)


def _unpack(layout: str, content: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack(layout, content)
    except struct.error:
        raise _Damaged("it is truncated") from None
