"""The record format of the original release; only this module knows it.

A TFRecord file is a row of records: payload length (uint64), masked CRC-32C of those 8 bytes,
payload, masked CRC-32C of the payload; little-endian. The payload is a serialized tf.train.Example
with two features: `data`, the uint8 pixels in C, H, W order, and `shape`, the int64 list [C, H, W].
Datasets of ours may have values of other types, and more channels: dataset.json says so.
We write the keys in alphabetical order; the original wrote them in random order, so both are read.
All records of a file have one shape and therefore one size: record i needs no index.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pgtf.dataset.crc32c import masked_crc32c
from pgtf.files import read_parts, retried
from pgtf.foreign.files import open_regular, size_of
from pgtf.installation import spelled

HEADER = 12  # bytes: length and its CRC
FOOTER = 4  # bytes: CRC of the payload
MAX_PAYLOAD = 1 << 30  # A file with a longer first record counts as foreign.
MAX_VARINT = 10  # bytes of an integer of Protocol Buffers
MAX_FIELDS = 8  # of any message in a record; ours have two at most
# Field numbers in tf.train.Example and what it holds; all are length-delimited (wire type 2):
# Example.features, Features.feature, the map entry's key and value, Feature.bytes_list and
# int64_list, BytesList.value and Int64List.value (packed).
EXAMPLE_FEATURES = FEATURES_ENTRY = ENTRY_KEY = FEATURE_BYTES = LIST_VALUE = 1
ENTRY_VALUE = 2
FEATURE_INT64 = 3

Shape = tuple[int, int, int]  # C, H, W
ORIGINAL_CHANNELS = (1, 3)  # Files with other numbers need a dataset.json.
MAX_CHANNELS = 64
UINT8: np.dtype[Any] = np.dtype("uint8")
# Types of stored values; those of several bytes are little-endian.
DTYPES: dict[str, np.dtype[Any]] = {
    "uint8": UINT8,
    "uint16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Layout of a record's bytes for one image shape, type of values and key order."""

    shape: Shape
    prefix: bytes  # header and payload before the pixels
    suffix: bytes  # payload after the pixels
    dtype: np.dtype[Any] = UINT8

    @property
    def num_pixel_bytes(self) -> int:
        """Bytes of the pixels alone."""
        channels, height, width = self.shape
        return channels * height * width * self.dtype.itemsize

    @property
    def record_size(self) -> int:
        """Bytes of one record; the same for both key orders."""
        return len(self.prefix) + self.num_pixel_bytes + len(self.suffix) + FOOTER


@functools.lru_cache  # It is asked for at each reading, and takes 0.1 ms.
def layout(shape: Shape, data_first: bool = True, dtype: np.dtype[Any] = UINT8) -> Layout:
    """Computes the layout of records with images of this shape and type."""
    num_bytes = int(np.prod(shape)) * dtype.itemsize
    packed = b"".join(_varint(size) for size in shape)
    shape_entry = _field(
        FEATURES_ENTRY,
        _field(ENTRY_KEY, b"shape")
        + _field(ENTRY_VALUE, _field(FEATURE_INT64, _field(LIST_VALUE, packed))),
    )
    head, size = b"", num_bytes  # tags before the pixels in the data entry, from the inside out
    for number in (LIST_VALUE, FEATURE_BYTES, ENTRY_VALUE):
        head = _tag(number, size) + head
        size = num_bytes + len(head)
    head = _field(ENTRY_KEY, b"data") + head
    head = _tag(FEATURES_ENTRY, num_bytes + len(head)) + head
    head = head if data_first else shape_entry + head
    suffix = shape_entry if data_first else b""
    head = _tag(EXAMPLE_FEATURES, len(head) + num_bytes + len(suffix)) + head
    length = (len(head) + num_bytes + len(suffix)).to_bytes(8, "little")
    crc = masked_crc32c(np.frombuffer(length, np.uint8)[np.newaxis]).tobytes()
    return Layout(shape, length + crc + head, suffix, dtype)


def to_records(images: np.ndarray) -> np.ndarray:
    """Frames images as records: [N, C, H, W] of one of DTYPES -> uint8 [N, record size]."""
    num, *shape = images.shape
    at = layout((shape[0], shape[1], shape[2]), dtype=DTYPES[images.dtype.name])
    pixels = slice(len(at.prefix), len(at.prefix) + at.num_pixel_bytes)
    records = np.empty((num, at.record_size), np.uint8)
    records[:, : pixels.start] = np.frombuffer(at.prefix, np.uint8)
    values = np.ascontiguousarray(images, at.dtype).reshape(num, int(np.prod(shape)))
    records[:, pixels] = values.view(np.uint8)
    records[:, pixels.stop : -FOOTER] = np.frombuffer(at.suffix, np.uint8)
    records[:, -FOOTER:] = (
        masked_crc32c(records[:, HEADER:-FOOTER]).view(np.uint8).reshape(num, FOOTER)
    )
    return records


@dataclasses.dataclass(frozen=True)
class RecordFile:
    """One .tfrecords file, opened for reading by `open_records`."""

    path: str
    shape: Shape
    num_records: int
    dtype: np.dtype[Any] = UINT8

    @property
    def record_size(self) -> int:
        """Bytes of each record."""
        return layout(self.shape, dtype=self.dtype).record_size

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Reads records by number: [n] -> [n, C, H, W] of the file's type.

        Args:
            indices: record numbers in any order, repeats allowed.

        Raises:
            OSError: a record cannot be read.
            ValueError: a record is damaged.
        """
        size = self.record_size
        raw = np.empty((len(indices), size), np.uint8)
        parts = [row.data for row in raw]
        read_parts(self.path, parts, [int(i) * size for i in indices], "record", indices)
        return self._pixels(raw, indices)

    def _pixels(self, raw: np.ndarray, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Compares the frame and CRCs of records, and returns their pixels."""
        images = np.empty((len(raw), *self.shape), self.dtype)
        unknown = np.ones(len(raw), bool)
        for data_first in (True, False):
            at = layout(self.shape, data_first, self.dtype)
            begin, end = len(at.prefix), len(at.prefix) + at.num_pixel_bytes
            fits = (raw[:, :begin] == np.frombuffer(at.prefix, np.uint8)).all(axis=1)
            fits &= (raw[:, end:-FOOTER] == np.frombuffer(at.suffix, np.uint8)).all(axis=1)
            images[fits] = raw[fits, begin:end].view(self.dtype).reshape(-1, *self.shape)
            unknown &= ~fits
        stored = raw[:, -FOOTER:].copy().view("<u4")[:, 0]
        unknown |= stored != masked_crc32c(raw[:, HEADER:-FOOTER])
        if unknown.any():
            index = int(indices[int(unknown.argmax())])
            raise ValueError(
                f"{self.path} record {index} (offset {index * raw.shape[1]}): damaged, or not an "
                f"image of shape {list(self.shape)}. Restore the file or create the dataset anew."
            )
        return images


def open_records(
    path: str, dtype: np.dtype[Any] = UINT8, channels: int | None = None
) -> RecordFile:
    """Opens a .tfrecords file: reads the shape from the first record, the count from the size.

    Args:
        path: the file.
        dtype: type of its values, one of DTYPES.
        channels: a number of channels that is allowed besides those of the original.

    Raises:
        ValueError: the file is empty, truncated, damaged at its start, or holds something else.
        OSError: the file cannot be read.
    """
    return retried(lambda: _open_records(path, dtype, channels), path)


def _open_records(path: str, dtype: np.dtype[Any], allowed: int | None) -> RecordFile:
    with open_regular(path) as file:
        size = size_of(file)
        header = file.read(HEADER)
        length = int.from_bytes(header[:8], "little")
        array = np.frombuffer(header, np.uint8)[np.newaxis]
        if len(header) < HEADER:
            raise ValueError(f"{path}: no record in it. Received: {len(header)} bytes.")
        if length > MAX_PAYLOAD or masked_crc32c(array[:, :8]).tobytes() != header[8:]:
            raise ValueError(
                f"{path} record 0 (offset 0): not a TFRecord file, or damaged. "
                f"Received: first bytes {header[:8]!r}."
            )
        is_whole = HEADER + length + FOOTER <= size
        payload = file.read(length) if is_whole else None
    if payload is None:
        raise ValueError(
            f"{path} record 0 (offset 0): the file ends within the record. Received: {size} bytes."
        )
    shape = _shape_of(path, memoryview(payload), dtype, allowed)
    record_size = layout(shape, dtype=dtype).record_size
    if record_size != HEADER + length + FOOTER:
        raise ValueError(
            f"{path} record 0 (offset 0): must hold only `data` and `shape`, as this tool writes "
            f"them. Received: {length} bytes for an image of shape {list(shape)}."
        )
    if size % record_size:
        raise ValueError(
            f"{path} record {size // record_size} (offset {size - size % record_size}): "
            "the file ends within the record. "
            f"Received: {size} bytes, not a multiple of {record_size}. "
            "Restore the file or create the dataset anew."
        )
    return RecordFile(path, shape, size // record_size, dtype)


def _shape_of(path: str, payload: memoryview, dtype: np.dtype[Any], allowed: int | None) -> Shape:
    """Parses one Example until its image shape is known."""
    try:
        features = dict(_fields(payload))[EXAMPLE_FEATURES]
        entries = [dict(_fields(entry)) for _, entry in _fields(features)]
        found = {entry[ENTRY_KEY].tobytes().decode(): entry[ENTRY_VALUE] for entry in entries}
        packed = dict(_fields(dict(_fields(found["shape"]))[FEATURE_INT64]))[LIST_VALUE]
        data = dict(_fields(dict(_fields(found["data"]))[FEATURE_BYTES]))[LIST_VALUE]
        channels, height, width = _varints(packed)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"{path} record 0 (offset 0): must be a tf.train.Example with uint8 `data` and `shape` "
            f"[C, H, W]. {spelled('Create the dataset with dataset_tool.py.')}"
        ) from error
    if channels * height * width * dtype.itemsize != len(data):
        raise ValueError(
            f"{path} record 0 (offset 0): `shape` must describe the length of `data`, {dtype} "
            f"values. Received: shape={[channels, height, width]}, {len(data)} bytes."
        )
    numbers = [str(x) for x in sorted({*ORIGINAL_CHANNELS, allowed or 1})]
    if str(channels) not in numbers or not height * width:
        raise ValueError(
            f"{path} record 0 (offset 0): images must have {' or '.join(numbers)} channels and a "
            "pixel or more; dataset.json states other numbers. "
            f"Received: shape={[channels, height, width]}. "
            f"{spelled('Create the dataset with dataset_tool.py.')}"
        )
    return channels, height, width


def _varint(value: int) -> bytes:
    """Encodes Protocol Buffers' variable-length integer: 7 bits per byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(number: int, length: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(length)


def _field(number: int, content: bytes) -> bytes:
    return _tag(number, len(content)) + content


def _read_varint(data: memoryview, start: int) -> tuple[int, int]:
    """Reads a variable-length integer -> (value, where it ends)."""
    value = 0
    for place in range(MAX_VARINT):
        byte = data[start + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, start + place + 1
    raise ValueError("an integer of more than 10 bytes")


def _varints(data: memoryview) -> list[int]:
    values: list[int] = []
    start = 0
    while start < len(data):
        if len(values) == MAX_FIELDS:
            raise ValueError("too many integers")
        value, start = _read_varint(data, start)
        values.append(value)
    return values


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields (number, content) of the length-delimited fields of a serialized message."""
    start = 0
    for _ in range(MAX_FIELDS):
        if start == len(data):
            return
        tag, start = _read_varint(data, start)
        if tag & 7 != 2:
            raise ValueError("not a length-delimited field")
        length, start = _read_varint(data, start)
        if start + length > len(data):
            raise ValueError("the message ends within a field")
        yield tag >> 3, data[start : start + length]
        start += length
    raise ValueError("too many fields")
