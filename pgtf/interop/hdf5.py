"""Named arrays in one HDF5 file that appears whole or not at all, with a checksum and no code.

The same content gives the same bytes: no times, no addresses, names in alphabetical order. The last
line, "sha256:<hex>" of all bytes before it, is ignored by HDF5 readers. Here it reveals damage. The
HDF5 library only writes: it crashes on some damaged or forged files, which `hdf5_reader` does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

import h5py
import numpy as np

from pgtf import files
from pgtf.interop import hdf5_reader, hdf5_types

PathLike = str | os.PathLike[str]
Groups = dict[str, dict[str, np.ndarray]]
Attributes = dict[str, str | int | float]

MAGIC = b"\x89HDF\r\n\x1a\n"
CHECKSUM_SIZE = len("\nsha256:\n") + 64  # length of the last line, bytes
NUMERIC_KINDS = "biuf"  # bool, int, unsigned, float; anything else would need an interpreter


class Damaged(ValueError):
    """All bytes of a file were read, and its checksum says that they are not those written."""


def write_hdf5(
    path: PathLike, groups: Mapping[str, Mapping[str, np.ndarray]], attributes: Attributes
) -> None:
    """Writes `groups` of named arrays and root `attributes`, replacing the file in one step.

    Args:
        path: file to write; see `files.write_atomically`.
        groups: {"G": {"4x4/Conv/weight": array}}; names are ASCII, a group's has no slash.
        attributes: root attributes: strings, integers and floats.

    Raises:
        OSError: if the file cannot be written; the previous file is then untouched.
    """
    arrays = _flat(groups)
    # The file is built in memory (the size of the weights), because HDF5 can neither report a
    # full disk as such nor close its file after one.
    image = io.BytesIO()
    # The earliest version of the format is h5py's default, and the one that hdf5_reader knows.
    with h5py.File(image, "w", libver="earliest") as file:
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        for group in sorted(groups):
            file.create_group(group)
        for name, array in sorted(arrays.items()):
            file.create_dataset(name, data=array, track_times=False)
    image.seek(0, os.SEEK_END)
    with image.getbuffer() as content:
        checksum = _checksum_line(hashlib.sha256(content))
    image.write(checksum)
    with image.getbuffer() as content:
        try:
            files.write_atomically(path, content)
        except OSError as error:
            message = f"cannot write {path}: {error.strerror or error}. The previous file is kept"
            raise OSError(error.errno, message) from error


def read_hdf5(path: PathLike) -> tuple[Groups, Attributes]:
    """Reads what `write_hdf5` wrote. Returns (groups, attributes), the arrays in memory.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read now, which says nothing about its content.
        Damaged: if its content is not what was written.
        ValueError: if `write_hdf5` did not write it.
    """
    return parse(read_content(path), path)


def read_content(path: PathLike) -> bytes:
    """Reads all bytes of a file, for `parse`. Raises FileNotFoundError or OSError, naming it."""
    with _reading(path):
        return files.read_at_once(path)


def parse(content: bytes, source: PathLike) -> tuple[Groups, Attributes]:
    """Checks and unpacks the bytes of a file of `write_hdf5`. Returns (groups, attributes).

    Whatever it raises is about the content: it does not touch the file system.

    Args:
        content: all bytes of the file.
        source: name of the file, for messages.

    Raises:
        Damaged: if it is not HDF5, truncated, damaged, or of another program.
        ValueError: if `write_hdf5` did not write it.
    """
    with memoryview(content) as view:
        whole, checksum = view[:-CHECKSUM_SIZE], view[-CHECKSUM_SIZE:]
        if checksum != _checksum_line(hashlib.sha256(whole)):
            if not content.startswith(MAGIC):
                raise Damaged(f"{source}: not an HDF5 file.")
            raise Damaged(
                f"{source}: truncated, damaged or of another program (its checksum does not "
                "match). Use another snapshot."
            )
    with _opened(io.BytesIO(content), source) as file:
        return dict(file.groups()), _attributes(file)


def read_attributes(path: PathLike) -> Attributes:
    """Reads the attributes of a file of `write_hdf5`, without reading (and checking) its arrays.

    Raises the errors of `read_hdf5`.
    """

    def read() -> Attributes:
        with open(path, "rb", opener=files.open_at_once) as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError(f"{path}: not an HDF5 file.")
            with _opened(file, path) as content:
                return _attributes(content)

    with _reading(path):
        return files.retried(read, path)


def _flat(groups: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    arrays = {}
    for group, members in groups.items():
        if "/" in group:
            raise ValueError(f"a group's name must have no slash. Received: group={group!r}.")
        if not all(name.isascii() for name in (group, *members)):
            # HDF5 would store the group in another form.
            raise ValueError(f"names must be ASCII. Received: {[group, *members]}.")
        for name, array in members.items():
            array = np.ascontiguousarray(array).reshape(np.shape(array))  # keeps rank 0
            if array.dtype.kind not in NUMERIC_KINDS:
                raise ValueError(f"{group}/{name} must be numeric. Received: dtype={array.dtype}.")
            arrays[f"{group}/{name}"] = array
    return arrays


def _checksum_line(digest: Any) -> bytes:
    return f"\nsha256:{digest.hexdigest()}\n".encode()


@contextlib.contextmanager
def _reading(path: PathLike) -> Iterator[None]:
    """Context manager whose errors of reading a file name it and say that it is untouched.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a folder.
        OSError: if it cannot be read now: a permission, a bad sector, a stale handle of NFS.
    """
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: a folder, not an HDF5 file.") from None
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}. It was left as it is"
        raise OSError(error.errno, message) from error


@contextlib.contextmanager
def _opened(content: IO[bytes], source: PathLike) -> Iterator[hdf5_reader.File]:
    """Opens HDF5 content through an open Python file; ValueError if it is not of this program."""
    try:
        yield hdf5_reader.File(content)
    except hdf5_types.FormatError as error:
        raise ValueError(f"{source}: {error}") from None


def _attributes(file: hdf5_reader.File) -> Attributes:
    return dict(file.attributes())
