"""Named arrays in one HDF5 file that appears whole or not at all, with a checksum and no code.

The same content gives the same bytes: no times, no addresses, names in alphabetical order. Behind
what HDF5 wrote stands a line "sha256:<hex>" of all bytes before it, which HDF5 readers ignore, so
that damage is found before the HDF5 library meets it (which may crash on a damaged file).
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

Groups = dict[str, dict[str, np.ndarray]]
Attributes = dict[str, str | int | float]

MAGIC = b"\x89HDF\r\n\x1a\n"
CHECKSUM_SIZE = len("\nsha256:\n") + 64  # bytes of the last line
NUMERIC_KINDS = "biuf"  # bool, int, unsigned, float; anything else would need an interpreter


def write_hdf5(path, groups: Mapping[str, Mapping[str, np.ndarray]], attributes: Attributes):
    """Writes `groups` of named arrays and root `attributes`, replacing the file in one step.

    Args:
        path: file to write; until it is complete, `<path>.tmp` is written beside it.
        groups: {"G": {"4x4/Conv/weight": array}}; a group's name has no slash.
        attributes: of the file: strings, integers and floats.

    Raises:
        OSError: if the file cannot be written; the previous file is then untouched.
    """
    arrays = _flat(groups)
    # The image is made in memory (the size of the weights), because HDF5 can neither report a
    # full disk as such nor close its file after one.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
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
        replace_file(path, content)


def read_hdf5(path) -> tuple[Groups, Attributes]:
    """Reads what `write_hdf5` wrote: (groups, attributes), the arrays in memory.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not HDF5, truncated, damaged, or not written by `write_hdf5`.
    """
    _verify(path)
    with _opened(path) as file:
        groups: Groups = {group: {} for group in file}
        _read_groups(file, groups, path)
        return groups, _attributes(file, path)


def read_attributes(path) -> Attributes:
    """The attributes of a file of `write_hdf5`, without reading (and checking) its arrays."""
    _check_magic(path)
    with _opened(path) as file:
        return _attributes(file, path)


def replace_file(path, data):
    """Writes bytes to `<path>.tmp`, flushes them to the disk and renames the file to `path`.

    Raises:
        OSError: if that fails; the temporary file is removed, the previous file untouched.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _fsync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = f"cannot write {path}: {error.strerror or error}. The previous file is kept"
            raise OSError(error.errno, message) from error
        raise


def _fsync_folder(folder):
    if os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flat(groups):
    arrays = {}
    for group, members in groups.items():
        if "/" in group:
            raise ValueError(f"a group's name must have no slash. Received: group={group!r}.")
        for name, array in members.items():
            array = np.ascontiguousarray(array).reshape(np.shape(array))  # keeps rank 0
            if array.dtype.kind not in NUMERIC_KINDS:
                raise ValueError(f"{group}/{name} must be numeric. Received: dtype={array.dtype}.")
            arrays[f"{group}/{name}"] = array
    return arrays


def _checksum_line(digest):
    return f"\nsha256:{digest.hexdigest()}\n".encode()


def _check_magic(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file.")
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path}: not an HDF5 file.")


def _verify(path):
    _check_magic(path)
    digest, left = hashlib.sha256(), max(os.path.getsize(path) - CHECKSUM_SIZE, 0)
    with open(path, "rb") as file:
        while left and (piece := file.read(min(left, 2**20))):
            digest.update(piece)
            left -= len(piece)
        if file.read() != _checksum_line(digest):
            raise ValueError(
                f"{path}: truncated, damaged or of another program (its checksum does not match). "
                "Use another snapshot."
            )


@contextlib.contextmanager
def _opened(path):
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:  # what h5py raises on damaged files
        raise ValueError(f"{path}: damaged HDF5 file ({error}).") from None


def _attributes(file, path):
    attributes = {}
    for name, value in file.attrs.items():
        attributes[name] = value.item() if isinstance(value, np.generic) else value
        if not isinstance(attributes[name], str | int | float):
            raise ValueError(f"{path}: attribute `{name}` is neither text nor a number.")
    return attributes


def _read_groups(file, groups, path):
    def read(name, item):
        # Links are not followed by visititems; external and virtual data would be other files.
        if not isinstance(item, h5py.Dataset):
            return
        group, _, member = name.partition("/")
        stored_here = item.id.get_storage_size() == item.nbytes and not item.external
        if group not in groups or not member or not stored_here:
            raise ValueError(f"{path}: array {name} is not stored as this program stores arrays.")
        if item.dtype.kind not in NUMERIC_KINDS:
            raise ValueError(f"{path}: array {name} is not numeric ({item.dtype}).")
        groups[group][member] = np.asarray(item[()])

    file.visititems(read)
