"""Checksums and lengths of damaged files, made right again: readers then look at the content."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from pgtf import lazy
from pgtf.dataset.crc32c import masked_crc32c
from pgtf.dataset.tfrecords import FOOTER, HEADER
from tests.fuzz.mutations import json_edited, json_of

h5py = lazy.Module("h5py")  # The command line does without it.
HDF5_CHECKSUM = len("\nsha256:\n") + 64


def png(content: bytes) -> bytes:
    """Computes the checksums of the chunks of a PNG file."""
    out, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 8 + size]
        if at + 12 + size > len(content):
            break
        out += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out) + content[at:]


def records(content: bytes) -> bytes:
    """Computes the checksums of records whose lengths fit the file."""
    data, at = bytearray(content), 0
    while at + HEADER <= len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        end = at + HEADER + length
        data[at + 8 : at + HEADER] = _crc(data[at : at + 8])
        if end + FOOTER > len(data) or length < 4:  # `masked_crc32c` needs four bytes.
            break
        data[end : end + FOOTER] = _crc(data[at + HEADER : end])
        at = end + FOOTER
    return bytes(data)


def _crc(data: bytes | bytearray) -> bytes:
    return masked_crc32c(np.frombuffer(bytes(data), np.uint8)[np.newaxis]).tobytes()


def snapshot(content: bytes) -> bytes:
    """Computes the checksum at the end of a snapshot or checkpoint."""
    whole = content[:-HDF5_CHECKSUM]
    return whole + f"\nsha256:{hashlib.sha256(whole).hexdigest()}\n".encode()


def attributes_edited(*names: str) -> Callable[[bytes], st.SearchStrategy[bytes]]:
    """Damages values in the JSON attributes of a snapshot, which is written as a whole one."""

    def mutate(content: bytes) -> st.SearchStrategy[bytes]:
        with h5py.File(io.BytesIO(content)) as file:
            stored = {name: json.loads(file.attrs[name]) for name in names}

        def write(edited: tuple[str, object]) -> bytes:
            name, value = edited
            image = io.BytesIO(content[:-HDF5_CHECKSUM])
            with h5py.File(image, "r+", libver="earliest") as file:
                file.attrs[name] = json_of(value).decode()
            return snapshot(image.getvalue() + bytes(HDF5_CHECKSUM))

        return st.sampled_from(names).flatmap(
            lambda name: json_edited(stored[name]).map(lambda value: write((name, value)))
        )

    return mutate


def members(content: bytes) -> dict[str, bytes]:
    """Unpacks a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def member_edited(
    mutate: Callable[[bytes], st.SearchStrategy[bytes]],
    compression: int = zipfile.ZIP_DEFLATED,
) -> Callable[[bytes], st.SearchStrategy[bytes]]:
    """Damages one file in a zip archive, whose checksums are right."""

    def edit(content: bytes) -> st.SearchStrategy[bytes]:
        found = members(content)

        def write(name: str, edited: bytes) -> bytes:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", compression) as archive:
                for other, data in found.items():
                    archive.writestr(other, edited if other == name else data)
            return out.getvalue()

        return st.sampled_from(sorted(found)).flatmap(
            lambda name: mutate(found[name]).map(lambda edited: write(name, edited))
        )

    return edit
