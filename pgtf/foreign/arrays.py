"""NumPy files that others made: plain arrays only, whose size is that of the file.

NumPy's own readers evaluate the header as Python, allocate what it claims and open anything that
looks like a zip or a pickle. These compare the header with the file before they allocate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from pgtf.files import retried
from pgtf.foreign.files import PathLike, open_regular, size_of
from pgtf.foreign.messages import plain
from pgtf.foreign.zips import check_directory

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # version -> bytes of the header's length
MAX_HEADER = 10_000  # bytes, as NumPy's own limit; the header of a plain array has about 100
MAX_DIMENSIONS = 32
MAX_MEMBERS = 10_000  # arrays in an .npz file
MAX_DIRECTORY = 1 << 22  # bytes of the list of arrays in an .npz file
MAX_NPZ_BYTES = 1 << 28  # of all arrays of an .npz file together, beyond the size of the file
MAX_ARRAY_BYTES = 1 << 63  # also of an array whose sizes of 0 are taken for 1
CHUNK = 1 << 20  # bytes that are read at once
NUMBERS = "fiub"  # kinds of dtype: float, signed and unsigned integer, bool
TEXT = "U"
WORDS = {"f": "floating-point numbers"}  # for messages; any other kinds are numbers
DTYPE = re.compile(r"[<>|=]?(?:f[248]|f16|c8|c16|[iu][1248]|b1|[SU]\d{1,7})")
HEADER = re.compile(
    r"\s*'(descr|fortran_order|shape)'\s*:\s*('[ -&(-~]*'|True|False|\([\dL,\s]*\))\s*"
)
SIZE = re.compile(r"\d{1,19}L?")  # Python 2 wrote 10L.


@dataclasses.dataclass(frozen=True)
class Header:
    """Facts in the header of a .npy file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int  # bytes before the first value

    @property
    def num_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


Check = Callable[["Header"], None]  # raises ValueError for an array that is not wanted


def read_npy(path: PathLike, kinds: str = NUMBERS) -> np.ndarray:
    """Reads a .npy file.

    Args:
        path: the file.
        kinds: the kinds of dtype that are accepted; see NUMBERS and TEXT.

    Raises:
        ValueError: the file is damaged, or holds something else; the message begins with its name.
        OSError: it cannot be read.
    """

    def read() -> np.ndarray:
        with open_regular(path) as file:
            return read_array(file, size_of(file), os.fspath(path), kinds)

    return retried(read, path)


def read_header(
    file: io.BufferedIOBase, num_bytes: int, source: str, kinds: str = NUMBERS
) -> Header:
    """Reads the header at the start of a .npy file.

    Args:
        file: positioned at the start; afterwards at the first value.
        num_bytes: size of the file, which the header must account for.
        source: name of the file, for errors.
        kinds: see `read_npy`.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    start = file.read(len(MAGIC) + 2)
    length_bytes = LENGTH_BYTES.get((start[-2], start[-1])) if len(start) == 8 else None
    if not start.startswith(MAGIC) or length_bytes is None:
        raise ValueError(f"{source}: not a NumPy array file. Received: first bytes {start!r}.")
    length = int.from_bytes(file.read(length_bytes), "little")
    text = file.read(min(length, MAX_HEADER)).decode("latin1")
    fields = _parse(text) if len(text) == length else None
    if fields is None:
        raise ValueError(f"{source}: not a NumPy array file, or its header is damaged.")
    descr, fortran_order, shape = fields
    dtype = _dtype(descr)
    if dtype is None or dtype.kind not in kinds:
        what = f"{WORDS.get(kinds, 'numbers')} (not {dtype or descr[:80]})"
        raise ValueError(f"{source}: must be {what}. Received: dtype={descr[:80]}.")
    header = Header(shape, dtype, fortran_order, len(start) + length_bytes + length)
    needed = header.offset + header.num_bytes
    if num_bytes != needed:
        what = "truncated" if num_bytes < needed else "longer than its header says"
        raise ValueError(
            f"{source}: the file is {what}. Received: {num_bytes} bytes, where shape={shape}, "
            f"dtype={descr} needs {needed}."
        )
    # NumPy refuses an empty array whose other sizes overflow.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize >= MAX_ARRAY_BYTES:
        raise ValueError(f"{source}: must have fewer values. Received: shape={shape}.")
    return header


def read_npz(
    file: PathLike | io.BufferedIOBase, source: str = "", kinds: str = NUMBERS + TEXT
) -> dict[str, np.ndarray]:
    """Reads all arrays of an .npz file.

    Args:
        file: a path, or the content as a file in memory.
        source: name of the file, for errors, if `file` is not a path.
        kinds: see `read_npy`.

    Raises:
        ValueError: the file is damaged, holds something else or would need too much memory.
        OSError: it cannot be read.
    """
    if isinstance(file, (str, os.PathLike)):
        with open_regular(file) as opened:
            return read_npz(opened, os.fspath(file), kinds)
    with open_npz(file, source) as archive:
        return {name: archive.read(name, kinds) for name in archive.names}


@contextlib.contextmanager
def open_npz(file: io.BufferedIOBase, source: str) -> Iterator[Archive]:
    """Context manager that opens an .npz file to read some of its arrays.

    Args:
        file: the open file.
        source: its name, for errors.

    Raises the errors of `read_npz`.
    """
    with contextlib.ExitStack() as stack:
        with _one_kind_of_error(source):
            check_directory(file, MAX_DIRECTORY)
            archive = stack.enter_context(zipfile.ZipFile(file))
            found = Archive(archive, source, file.seek(0, os.SEEK_END))
        yield found


@contextlib.contextmanager
def _one_kind_of_error(source: str) -> Iterator[None]:
    """Context manager that makes errors of `zipfile` one kind; a damaged archive raises nearly any.

    Errors of the disk pass.
    """
    try:
        yield
    except _Damaged:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # `zipfile` seeks where a header says.
            raise
        raise ValueError(f"{source}: not an .npz file, or damaged ({error}).") from None
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{source}: not an .npz file, or damaged ({what}).") from None


class _Damaged(ValueError):
    """Carries a message that names the file already."""


class Archive:
    """An open .npz file, whose arrays can be unpacked within bounds.

    Attributes:
        names: the names of its arrays.
    """

    def __init__(self, archive: zipfile.ZipFile, source: str, num_bytes: int) -> None:
        infos = archive.infolist()
        total = sum(info.file_size for info in infos)
        if len(infos) > MAX_MEMBERS or total > MAX_NPZ_BYTES + num_bytes:
            raise _Damaged(
                f"{source}: must hold at most {MAX_MEMBERS} arrays of {MAX_NPZ_BYTES >> 20} MiB "
                f"together. Received: {len(infos)} of {total >> 20} MiB."
            )
        self._infos = {info.filename.removesuffix(".npy"): info for info in infos}
        self._archive, self._source = archive, source
        if len(self._infos) < len(infos):
            raise _Damaged(f"{source}: damaged: two arrays have the same name.")
        self.names = list(self._infos)

    def is_compressed(self, name: str) -> bool:
        """True if an array may take far more memory than the file."""
        return self._infos[name].compress_type != zipfile.ZIP_STORED

    def read(self, name: str, kinds: str = NUMBERS, check: Check | None = None) -> np.ndarray:
        """Reads one of `names`; `check` sees its header before anything is allocated."""
        info = self._infos[name]
        place = f"{self._source}: {plain(info.filename)}"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Damaged(f"{place}: is compressed in a way that NumPy has not.")
        with _one_kind_of_error(place), self._archive.open(info) as file:
            member = cast(io.BufferedIOBase, file)
            try:
                return read_array(member, info.file_size, place, kinds, check)
            except ValueError as error:
                raise _Damaged(str(error)) from None


def read_array(
    file: io.BufferedIOBase,
    num_bytes: int,
    source: str,
    kinds: str = NUMBERS,
    check: Check | None = None,
) -> np.ndarray:
    """Reads a .npy file of so many bytes; see `read_header` and `Archive.read`."""
    header = read_header(file, num_bytes, source, kinds)
    if check is not None:
        check(header)
    try:
        values = np.empty(math.prod(header.shape), header.dtype)
    except MemoryError:
        raise ValueError(f"{source}: {header.num_bytes >> 20} MiB do not fit in memory.") from None
    view = values.view(np.uint8).data if values.nbytes else memoryview(b"")
    while view:
        # A zip member gives as many bytes as it has unpacked, and compares its checksum at its end.
        if not (done := file.readinto(view[:CHUNK])):
            raise ValueError(f"{source}: the file is truncated.")
        view = view[done:]
    if file.read(1):
        raise ValueError(f"{source}: the file is longer than its header says.")
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def _dtype(descr: str) -> np.dtype[Any] | None:
    """Makes a dtype of numbers or text; None if it is another, or this machine does not have it."""
    try:
        return np.dtype(descr) if DTYPE.fullmatch(descr) else None
    except TypeError:
        return None


def _parse(text: str) -> tuple[str, bool, tuple[int, ...]] | None:
    """Parses a header such as {'descr': '<f4', 'fortran_order': False, 'shape': (10, 4), }."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    fields: dict[str, str] = {}
    at, end = 1, len(text) - 1
    while at < end and (match := HEADER.match(text, at, end)):
        if match[1] in fields:
            return None
        fields[match[1]] = match[2]
        at = match.end() + (text[match.end()] == ",")
    if text[at:end].strip() or set(fields) != {"descr", "fortran_order", "shape"}:
        return None
    descr, order, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if descr[0] != "'" or order not in ("True", "False") or shape[0] != "(":
        return None
    sizes = [size.strip() for size in shape[1:-1].split(",") if size.strip()]
    if len(sizes) > MAX_DIMENSIONS or not all(SIZE.fullmatch(size) for size in sizes):
        return None
    return descr[1:-1], order == "True", tuple(int(size.rstrip("L")) for size in sizes)
