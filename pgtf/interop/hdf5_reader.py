"""Reads the arrays and attributes of an HDF5 file that `hdf5.write_hdf5` wrote.

The HDF5 library crashes on some forged files, and never returns from others. This reader knows only
what h5py writes for plain arrays, groups and attributes: superblock 0, symbol tables, object
headers of version 1, contiguous data. There are no links, filters or other files. The parts of such
a file do not overlap, so that the number of bytes read, and with it time and memory, is bounded by
the size of the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from pgtf.interop import hdf5_types
from pgtf.interop.hdf5_types import Damaged, FormatError, shown

Messages = list[tuple[int, bytes]]  # type and content of each message of an object

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_VERSION_0 = bytes(5) + b"\x08\x08"  # versions of the superblock's parts; addresses of 8 bytes
_MAX_STEPS = 500_000  # parts of a file and messages; the largest checkpoint has 10,000
_SLACK = 1 << 16  # bytes that are read twice: the superblock

# Types of the messages of an object.
_DATASPACE, _DATATYPE, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 1, 3, 8, 12, 16, 17
_UNIMPORTANT = frozenset((0, 4, 5, 13, 14, 18))  # nothing, fill values, comment, times
_CONTIGUOUS = b"\x03\x01"  # version and class of a layout


class File:
    """An open HDF5 file. Its methods raise FormatError if it is not one of ours."""

    def __init__(self, file: IO[bytes]) -> None:
        """Reads the superblock and the root of an open file."""
        self._file, self._size = file, file.seek(0, 2)
        self._bytes_left, self._steps_left = self._size + _SLACK, _MAX_STEPS
        self._visited: set[int] = set()
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        start = self._bytes(0, 96)
        if start[:8] != _SIGNATURE or start[8:15] != _VERSION_0:
            raise Damaged("another version of the format")
        base, end, root = struct.unpack("<Q8xQ16xQ", start[24:72])
        if base or end > self._size:
            raise Damaged("it is truncated")
        self._root = self._messages(root)

    def attributes(self) -> Iterator[tuple[str, Any]]:
        """Yields names and values of the root's attributes: text, integers and floats."""
        for kind, content in self._root:
            if kind != _ATTRIBUTE:
                continue
            name, datatype, dataspace, data = hdf5_types.attribute(content)
            dtype, is_text = hdf5_types.dtype_of(datatype), hdf5_types.is_text(datatype)
            if hdf5_types.shape_of(dataspace) or not (is_text or dtype):
                raise FormatError(f"attribute {shown(name)} is neither text nor a number.")
            if len(data) < (16 if dtype is None else dtype.itemsize):
                raise Damaged("an attribute is incomplete")
            value = self._text(data) if dtype is None else np.frombuffer(data, dtype, 1)[0].item()
            yield name, value

    def groups(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Yields the groups in the root with their arrays by name: {"4x4/Conv/weight": array}."""
        for group, address in self._members(self._root):
            messages = self._messages(address)
            if _SYMBOL_TABLE not in dict(messages):
                raise _not_ours(group)
            yield group, dict(self._arrays(group, messages))

    def _arrays(self, group: str, messages: Messages) -> Iterator[tuple[str, np.ndarray]]:
        remaining = [("", messages)]
        while remaining:
            prefix, messages = remaining.pop()
            for name, address in self._members(messages):
                member, name = self._messages(address), prefix + name
                if _SYMBOL_TABLE in dict(member):
                    remaining.append((f"{name}/", member))
                else:
                    yield name, self._array(f"{group}/{name}", member)

    def _array(self, name: str, messages: Messages) -> np.ndarray:
        facts = {kind: content for kind, content in messages if kind not in _UNIMPORTANT}
        layout = facts.get(_LAYOUT, b"")
        if facts.keys() != {_DATASPACE, _DATATYPE, _LAYOUT} or layout[:2] != _CONTIGUOUS:
            raise _not_ours(name)
        dtype, shape = hdf5_types.dtype_of(facts[_DATATYPE]), hdf5_types.shape_of(facts[_DATASPACE])
        if dtype is None:
            raise FormatError(f"array {shown(name)} is not numeric.")
        address, num_bytes = hdf5_types.unpack("<2Q", layout, 2)
        if num_bytes != dtype.itemsize * math.prod(shape) or num_bytes > self._size:
            raise _not_ours(name)
        if not num_bytes:
            return np.empty(shape, dtype)
        array = np.frombuffer(self._bytes(address, num_bytes), dtype).reshape(shape)
        return array.view(np.uint8) != 0 if dtype.kind == "b" else array

    def _members(self, messages: Messages) -> Iterator[tuple[str, int]]:
        """Yields names of a group's members, and the addresses of their headers."""
        tree, heap = hdf5_types.unpack("<2Q", dict(messages).get(_SYMBOL_TABLE, b""))
        signature, num_bytes, start = struct.unpack("<4s4xQ8xQ", self._bytes(heap, 32))
        if signature != b"HEAP":
            raise Damaged("a group without names")
        names, nodes = self._bytes(start, num_bytes), [tree]
        while nodes:
            node = nodes.pop()
            signature, kind, used = struct.unpack("<4sBxH", self._bytes(node, 8))
            if signature == b"TREE" and kind == 0:  # a node of the group's tree
                children = struct.iter_unpack("<8xQ", self._bytes(node + 24, 16 * used))
                nodes.extend(child for (child,) in children)
            elif signature == b"SNOD" and kind == 1:  # a leaf: version 1
                for offset, address, link in struct.iter_unpack(
                    "<2QI20x", self._bytes(node + 8, 40 * used)
                ):
                    name = hdf5_types.text_of(names[offset : max(names.find(b"\0", offset), 0)])
                    if not name or "/" in name or link == 2:  # a link to another name
                        raise _not_ours(name)
                    yield name, address
            else:
                raise Damaged("a group without members")

    def _messages(self, address: int) -> Messages:
        """Reads the header of a group or array; each is a member of one group only."""
        if address in self._visited:
            raise Damaged("an object has two names")
        self._visited.add(address)
        version, size = struct.unpack("<B7xI", self._bytes(address, 12))
        if version != 1:
            raise Damaged("an object of another version")
        messages: Messages = []
        blocks = [(address + 16, size)]
        while blocks:
            content, position = self._bytes(*blocks.pop()), 0
            while position + 8 <= len(content):
                kind, length, flags = struct.unpack_from("<2HB", content, position)
                message = content[position + 8 : position + 8 + length]
                position += 8 + length
                if position > len(content) or flags & 2:  # kept elsewhere
                    raise Damaged("a fact about an object is incomplete")
                self._count(1)
                if kind == _CONTINUATION:
                    begin, length = hdf5_types.unpack("<2Q", message)
                    blocks.append((begin, length))
                else:
                    messages.append((kind, message))
        return messages

    def _text(self, data: bytes) -> str:
        """Reads the text of an attribute from the heap that it names."""
        length, address, index = struct.unpack("<IQI", data[:16])
        if not length:
            return ""
        if address not in self._heaps:
            self._heaps[address] = dict(self._heap(address))
        begin, available = self._heaps[address].get(index, (0, 0))
        if length > available:
            raise Damaged("an attribute without its text")
        return hdf5_types.text_of(self._bytes(begin, length))

    def _heap(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yields number, begin and size of the texts in a heap."""
        signature, size = struct.unpack("<4s4xQ", self._bytes(address, 16))
        if signature != b"GCOL":
            raise Damaged("an attribute without its text")
        begin, end = address + 16, address + size
        while begin + 16 <= end:
            index, size = struct.unpack("<H6xQ", self._bytes(begin, 16))
            if not index:  # the free space, which is last
                return
            yield index, (begin + 16, size)
            begin += 16 + -(-size // 8) * 8

    def _bytes(self, address: int, num_bytes: int) -> bytes:
        """Reads a part of the file."""
        if address + num_bytes > self._size:
            raise Damaged("a part of it is missing")
        self._count(num_bytes)
        self._file.seek(address)
        content = self._file.read(num_bytes)
        if len(content) < num_bytes:
            raise Damaged("it is truncated")
        return content

    def _count(self, num_bytes: int) -> None:
        self._bytes_left -= num_bytes
        self._steps_left -= 1
        if min(self._bytes_left, self._steps_left) < 0:
            raise Damaged("parts of it overlap")


def _not_ours(name: str) -> FormatError:
    return FormatError(f"array {shown(name)} is not stored as this program stores arrays.")
