"""Weights as a safetensors file: a JSON header and raw little-endian arrays, without code.

https://huggingface.co/docs/safetensors describes the format. Only float32 is written and read.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import numpy as np

from pgtf import files
from pgtf.foreign.files import open_regular, size_of
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.numbers import MAX_INTEGER
from pgtf.foreign.schema import Between, read_as, resolved

ALIGNMENT = 8  # bytes
MAX_TENSORS = 10_000
_METADATA = "__metadata__"

_Offset = Annotated[int, Between(0, MAX_INTEGER)]


class _Entry(TypedDict):
    """One array in the header."""

    dtype: str
    shape: list[_Offset]
    data_offsets: list[_Offset]


_ENTRY = resolved(_Entry)


def write_safetensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], **metadata: str
) -> None:
    """Writes float32 arrays, in alphabetical order: the same arrays give the same bytes."""
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    parts, begin = [], 0
    for name, array in sorted(arrays.items()):
        content = np.ascontiguousarray(array, "<f4").tobytes()
        offsets = [begin, begin + len(content)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        parts.append(content)
        begin += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    files.write_atomically(path, struct.pack("<Q", len(text)) + text + b"".join(parts))


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads float32 arrays by name; memory does not exceed the file's size.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or holds arrays of another type.
    """
    with open_regular(path) as file:
        num_bytes = size_of(file)
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_INTEGER
        if size > min(SMALL_BYTES, num_bytes - 8):
            raise ValueError(f"{path}: not a safetensors file (its header does not fit in it).")
        header = parse_json(file.read(size), str(path), max_bytes=SMALL_BYTES)
        if not isinstance(header, dict) or len(header) > MAX_TENSORS:
            raise ValueError(f"{path}: not a safetensors file (its header is no list of arrays).")
        content = file.read(num_bytes - 8 - size)
    header.pop(_METADATA, None)
    found, end = {}, 0
    entries = {name: read_as(_ENTRY, x, str(path), within=name) for name, x in header.items()}
    for name, entry in sorted(entries.items(), key=lambda x: x[1]["data_offsets"]):
        values = 4 * math.prod(entry["shape"])
        if entry["dtype"] != "F32" or entry["data_offsets"] != [end, end + values]:
            raise ValueError(f"{path}: {name[:60]!r} must be float32 values after those before it.")
        end += values
        if end > len(content):
            raise ValueError(f"{path}: ends within {name[:60]!r}.")
        array = np.frombuffer(content, "<f4", math.prod(entry["shape"]), end - values)
        found[name] = array.reshape(entry["shape"])
    if end != len(content):
        raise ValueError(f"{path}: holds {len(content) - end} bytes of no array.")
    return found
