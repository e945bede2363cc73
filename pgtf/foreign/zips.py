"""Zip archives of files that others made, read in place: nothing is written, sizes are bounded.

A path may go on inside an archive: cats.zip/tabby/1.jpg.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import struct
import zipfile
import zlib

from pgtf.files import PASSING

SUFFIX = ".zip"
STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # of an archive, and of an empty one
MAX_DIRECTORY = 1 << 28  # bytes of the list of files; two million of them take so much
MAX_MEMBER = 1 << 30  # bytes of a file
# A file of up to 64 MiB may be compressed in any way. Pictures are compressed already, and larger
# files that shrink to less than a hundredth are made to fill the memory.
FREE_BYTES = 1 << 26
MAX_RATIO = 100
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # flag of a file
# Header before a file: signature, version, flags, method, time, date, CRC, sizes, and two lengths:
# of its name, and of what follows that.
LOCAL = struct.Struct("<4s5H3L2H")
END = struct.Struct("<4s4H2LH")  # record at the end of an archive
END_MAGIC = b"PK\x05\x06"
LARGE_END_BYTES, LARGE_END_MAGIC = 20, b"PK\x06\x07"  # locator of the record of a large archive
MAX_COMMENT = 0xFFFF
KNOWN_ARCHIVES = 4  # whose lists are kept per process

# `zipfile` raises nearly anything for a damaged archive.
_DAMAGE = (
    *(zipfile.BadZipFile, EOFError, ValueError, OverflowError, RuntimeError, LookupError),
    *(zlib.error, struct.error),
)


class Member(io.BufferedReader):
    """An unpacked file of an archive, in memory.

    Attributes:
        num_bytes: its size.
        stamp: differs from that of any other file.
    """

    def __init__(self, content: bytes, stamp: tuple[object, ...]):
        super().__init__(io.BytesIO(content))
        self.num_bytes, self.stamp = len(content), stamp


def is_zip(path: str) -> bool:
    """True for a file that begins as a zip archive does."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) in STARTS


def member_names(path: str) -> list[str]:
    """Lists the files in an archive by their paths, with slashes.

    Raises:
        ValueError: it is no zip archive, is damaged, or was made to do harm; the message names it.
        OSError: it cannot be read.
    """
    return list(_members_of(path))


def open_member(path: str) -> Member | None:
    """Opens a file in an archive, ARCHIVE.zip/PATH; None if no part of the path is an archive.

    Raises:
        FileNotFoundError: the archive holds no such file.
        ValueError: the file is damaged, encrypted or too large.
        OSError: the archive cannot be read.
    """
    archive, inner = os.path.dirname(path), os.path.basename(path)
    while archive and not os.path.lexists(archive):
        archive, part = os.path.split(archive)
        if not part:
            return None
        inner = f"{part}/{inner}"
    if not is_zip(archive):
        return None
    info = _members_of(archive).get(inner)
    if info is None:
        raise FileNotFoundError(f"{archive}/{inner}: no such file in the archive.")
    return Member(_read(archive, info), (archive, inner, info.file_size, info.CRC))


def _read(path: str, info: zipfile.ZipInfo) -> bytes:
    """Unpacks a file of an archive, which is open no longer than that."""
    if info.flag_bits & ENCRYPTED:
        raise ValueError("is encrypted; unpack the archive")
    if info.compress_type not in METHODS:
        raise ValueError("is compressed in a way that is not read; unpack the archive")
    size = info.file_size
    if max(size, info.compress_size) > MAX_MEMBER or (
        size > FREE_BYTES and size > MAX_RATIO * info.compress_size
    ):
        raise ValueError(
            f"claims to have {size} bytes, too many for {info.compress_size} compressed ones"
        )
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        head = file.read(LOCAL.size)
        if len(head) < LOCAL.size or not head.startswith(STARTS[0]):
            raise ValueError("damaged (it does not begin where the archive says)")
        *_, name_bytes, extra_bytes = LOCAL.unpack(head)
        file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        content = file.read(info.compress_size)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
        except zlib.error as error:
            raise ValueError(f"damaged ({error})") from None
    if len(content) != size or zlib.crc32(content) != info.CRC:
        raise ValueError("damaged (it is not what the archive says)")
    return content


def _members(archive: zipfile.ZipFile, num_bytes: int) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    compressed = 0
    for info in archive.infolist():
        compressed += info.compress_size
        name = os.path.normpath(info.filename.replace("\\", "/")).lstrip("/")
        if info.is_dir() or name.split("/")[0] in ("", ".", ".."):
            continue
        if info.header_offset + info.compress_size > num_bytes:
            raise ValueError(f"{name[:80]} lies outside it")
        if name in members:
            raise ValueError(f"two files have the name {name[:80]}")
        members[name] = info
    if compressed > num_bytes:
        raise ValueError("its files overlap")
    return members


def check_directory(file: io.BufferedIOBase, max_bytes: int) -> None:
    """Refuses an archive whose list of files is large; `zipfile` would read any.

    Raises:
        ValueError: it is larger than `max_bytes`.
    """
    if (found := _directory_bytes(file)) > max_bytes:
        raise ValueError(f"its list of files has {found} bytes, more than {max_bytes}")


def _directory_bytes(file: io.BufferedIOBase) -> int:
    """Size of the list of files, as `zipfile` finds it."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - MAX_COMMENT - END.size, 0)
    file.seek(start)
    tail = file.read()
    at = len(tail) - END.size
    if at < 0 or not tail.startswith(END_MAGIC, at) or not tail.endswith(b"\0\0"):
        at = tail.rfind(END_MAGIC)
    if at < 0 or at + END.size > len(tail):
        return 0  # `zipfile` reports it.
    num_bytes = int(END.unpack_from(tail, at)[5])
    before = start + at - LARGE_END_BYTES
    if before < 0:
        return num_bytes
    file.seek(before)
    locator = file.read(LARGE_END_BYTES)
    if locator.startswith(LARGE_END_MAGIC):
        file.seek(int.from_bytes(locator[8:16], "little"))
        num_bytes = max(num_bytes, int.from_bytes(file.read(56)[40:48], "little"))
        file.seek(max(before - 56, 0))  # where `zipfile` looks, whatever the locator says
        num_bytes = max(num_bytes, int.from_bytes(file.read(56)[40:48], "little"))
    return num_bytes


@functools.lru_cache(maxsize=KNOWN_ARCHIVES)
def _listed(path: str, stamp: tuple[int, int]) -> dict[str, zipfile.ZipInfo]:
    with open(path, "rb") as file:
        check_directory(file, MAX_DIRECTORY)
        with zipfile.ZipFile(file) as archive:
            return _members(archive, stamp[0])


def _members_of(path: str) -> dict[str, zipfile.ZipInfo]:
    """Returns the files of an archive by their paths; each archive is listed once."""
    found = os.stat(path)
    try:
        return _listed(path, (found.st_size, found.st_mtime_ns))
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # `zipfile` seeks where a field says.
            raise
        what: Exception = error
    except _DAMAGE as error:
        # `zipfile` says of a file that cannot be read that it is no archive.
        if isinstance(error.__context__, OSError) and error.__context__.errno in PASSING:
            raise error.__context__ from None
        what = error
    reason = " ".join(str(what).split())[:200] or type(what).__name__
    raise ValueError(f"{path}: not a zip archive, or damaged ({reason}).")
