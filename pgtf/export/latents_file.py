"""Reads latents from .npy and .npz files, which may come from anybody.

What a header says is compared with the network and with the file before anything is allocated or
decompressed. Nothing is unpickled.
"""

from __future__ import annotations

import ast
import errno
import lzma
import math
import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np

MAX_BYTES = 2**30  # of a file: 500,000 vectors of 512 float32 values
MAX_INFLATED_BYTES = 2**28  # of a compressed array
MAX_HEADER_BYTES = 10_000
MAX_NAMES = 8  # arrays that an error lists
LATENTS, LABELS, STYLEGAN_W = "latents", "labels", "w"
_FLOAT = re.compile(r"[<>=|]?f(?:2|4|8|16)")

# Errors of the parsers and decompressors; ValueError includes bad Unicode and our own, and
# RuntimeError deep recursion, encryption and unknown compression.
DAMAGES = (
    *(ValueError, TypeError, SyntaxError, KeyError, EOFError, OverflowError, MemoryError),
    *(RuntimeError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def read_latents(
    path: str | os.PathLike[str], latent_size: int, label_size: int, normalized: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads latent vectors, and the labels that an .npz file may have for them.

    Args:
        path: an .npy file; or an .npz file with one array, or with one named `latents`, and
            perhaps with one named `labels`, as generate.py project writes.
        latent_size: length of a latent vector of the network.
        label_size: number of label columns of the network.
        normalized: if the network normalizes latents; vectors of zeros are refused then.

    Returns:
        float32 latents [N, latent_size], and labels [N, label_size] or None.

    Raises:
        ValueError: it is no such file, or does not fit the network.
        OSError: it cannot be read.
    """
    path = Path(path)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        try:
            latents, labels = _read(file, latent_size, label_size)
            if normalized and not latents.any(axis=1).all():
                row = int(latents.any(axis=1).argmin())
                raise ValueError(f"latent vector {row} is all zeros, which is no direction")
        except DAMAGES as error:
            raise ValueError(f"{path}: {error or type(error).__name__}.") from None
        except OSError as error:
            if error.errno in (None, errno.EINVAL):  # bz2; an offset before the file
                raise ValueError(f"{path}: is damaged ({error}).") from None
            raise OSError(error.errno, error.strerror, str(path)) from None
    return latents, labels


def _read(
    file: IO[bytes], latent_size: int, label_size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a file of either kind, which its first bytes tell."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("must be a regular file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"must have at most {MAX_BYTES} bytes. Received: {status.st_size}")
    start = file.read(4)
    file.seek(0)
    if start == b"\x93NUM":
        return _read_rows(file, status.st_size, "the array", latent_size), None
    if not start.startswith(b"PK"):
        raise ValueError(
            "must be an .npy or .npz file, as numpy.save and generate.py project write. "
            f"Received: one that begins with {start!r}"
        )
    with zipfile.ZipFile(file) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]

        def read(name: str, num_columns: int) -> np.ndarray:
            info = archive.infolist()[names.index(name)]
            is_stored = info.compress_type == zipfile.ZIP_STORED
            limit = MAX_BYTES if is_stored else MAX_INFLATED_BYTES
            if info.file_size > limit:
                found = f"Received: {info.file_size}"
                raise ValueError(f"array `{name}` must have at most {limit} bytes. {found}")
            with archive.open(info) as member:
                return _read_rows(member, info.file_size, f"array `{name}`", num_columns)

        latents = read(_name_of_latents(names), latent_size)
        return latents, _read_labels(names, read, len(latents), label_size)


def _name_of_latents(names: Sequence[str]) -> str:
    """Chooses `latents`, or the only array beside `labels`."""
    others = [name for name in names if name != LABELS]
    if LATENTS in names:
        return LATENTS
    if len(others) == 1 and others[0] != STYLEGAN_W:
        return others[0]
    shown = ", ".join(repr(name[:32]) for name in names[:MAX_NAMES])
    hint = " (`w` of StyleGAN is another space)" if STYLEGAN_W in names else ""
    raise ValueError(
        f"must hold one array, or one named `latents`{hint}. Received: {len(names)} ({shown})"
    )


def _read_labels(
    names: Sequence[str],
    read: Callable[[str, int], np.ndarray],
    num_latents: int,
    label_size: int,
) -> np.ndarray | None:
    if LABELS not in names:
        return None
    if not label_size:
        raise ValueError("holds labels, and this network has none")
    labels = read(LABELS, label_size)
    if len(labels) != num_latents:
        raise ValueError(
            f"array `labels` must have a row per latent vector, {num_latents}. "
            f"Received: {len(labels)}"
        )
    return labels


def _read_rows(file: IO[bytes], size: int, name: str, num_columns: int) -> np.ndarray:
    """Reads an .npy file of `size` bytes that holds rows or one row: -> float32 [N, columns]."""
    try:
        header = _read_header(file)
    except DAMAGES as error:
        raise ValueError(f"{name} has a damaged header ({error or type(error).__name__})") from None
    shape = header.shape
    if not isinstance(header.descr, str) or not _FLOAT.fullmatch(header.descr):
        raise ValueError(
            f"{name} must be floating-point numbers. Received: {str(header.descr)[:32]!r}"
        )
    if len(shape) not in (1, 2) or shape[-1] != num_columns or 0 in shape:
        raise ValueError(
            f"{name} must be [N, {num_columns}] or [{num_columns}], as the network's. "
            f"Received: {str(list(shape))[:80]}"
        )
    dtype = np.dtype(header.descr)
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes != size - header.num_bytes:
        raise ValueError(
            f"{name} is damaged: {num_bytes} bytes should follow its header. "
            f"Received: {size - header.num_bytes}"
        )
    values = np.frombuffer(_read_exactly(file, num_bytes), dtype)
    with np.errstate(over="ignore"):
        rows = values.reshape(shape, order=header.order).astype(np.float32, "C")
    rows = rows.reshape(-1, num_columns)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name} must be finite float32 numbers. "
            f"Received: NaN, infinity or more in row {int(bad.argmax())}"
        )
    return rows


class _Header(NamedTuple):
    """The beginning of an .npy file."""

    num_bytes: int
    descr: Any  # dtype as text, or a list for records
    shape: tuple[int, ...]
    order: Literal["C", "F"]


def _read_header(file: IO[bytes]) -> _Header:
    """Reads the header of an .npy file; NumPy's own reader would also try to repair it."""
    magic = _read_exactly(file, 8)
    length_format = {1: "<H", 2: "<I", 3: "<I"}.get(magic[6])
    if not magic.startswith(b"\x93NUMPY") or length_format is None:
        raise ValueError("not that of an .npy file")
    prefix = _read_exactly(file, struct.calcsize(length_format))
    (length,) = struct.unpack(length_format, prefix)
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"{length} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd literals
        fields = ast.literal_eval(_read_exactly(file, length).decode().strip())
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("other fields")
    shape = fields["shape"]
    if not isinstance(shape, tuple) or any(type(n) is not int for n in shape):
        raise ValueError("no shape")
    if any(not 0 <= size < 2**63 for size in shape):
        raise ValueError("impossible shape")
    num_bytes = len(magic) + len(prefix) + length
    return _Header(num_bytes, fields["descr"], shape, "F" if fields["fortran_order"] else "C")


def _read_exactly(file: IO[bytes], num_bytes: int) -> bytes:
    content = file.read(num_bytes)
    if len(content) != num_bytes:
        raise ValueError(f"the file ends after {len(content)} of {num_bytes} bytes")
    return content
