"""Files of a run: written whole or not at all, read whole, and tried again where a disk wavers.

Network file systems report EIO and ESTALE for moments that pass. Every read and write of a run goes
through `retried`. Only this module knows which errors pass and how long to wait.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, TypeVar

PathLike = str | os.PathLike[str]

T = TypeVar("T")

PASSING = (errno.EIO, errno.ESTALE)
WAITS_SEC = (0.1, 0.4, 1.6, 6.4)  # before the second, third, ... attempt
# Some file systems cannot sync a folder. A rename is then as safe as they make it.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES)


def retried(action: Callable[[], T], path: PathLike) -> T:
    """Calls `action`, and again after EIO or ESTALE, with growing waits and a log line for each.

    An action begins from the path in every attempt, because a stale handle stays stale, and writes
    everything again, because after a failed fsync a second one reports success without writing.

    Args:
        action: function without arguments that may be called more than once.
        path: file or folder to name.

    Raises:
        OSError: the error of the last attempt, which names `path`; any other error at once.
    """
    with errors_that_name(path):
        for wait_sec in WAITS_SEC:
            try:
                return action()
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                reason = error.strerror
            from absl import logging  # 90 modules, and most processes have nothing to say

            logging.warning("%s: %s. Trying again in %g seconds.", path, reason, wait_sec)
            time.sleep(wait_sec)
        return action()


def read_at_once(path: PathLike) -> bytes:
    """Reads a whole file in a folder that others may have filled.

    A pipe or a device is empty: one would be waited for, and the other may have no end.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, or only a part of it.
    """

    def read() -> bytes:
        with open(path, "rb", opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return b""
            content: bytes = file.read()
        if len(content) < status.st_size:
            reason = f"only {len(content)} of {status.st_size} bytes could be read"
            raise OSError(errno.EIO, reason, os.fspath(path))
        return content

    return retried(read, path)


def read_lines(path: PathLike) -> list[str]:
    """Reads the lines of a text file as `read_at_once` does; [] if there is none."""
    try:
        return read_at_once(path).decode().splitlines()
    except FileNotFoundError:
        return []


def read_parts(
    path: PathLike,
    parts: Sequence[memoryview],
    offsets: Sequence[int],
    kind: str,
    numbers: Sequence[int] | Any,
) -> None:
    """Fills buffers from a file. It is not mapped into memory, which does not grow with its size.

    Args:
        path: file to read.
        parts: buffers to fill.
        offsets: begin of each in the file.
        kind: name of a part in errors, for example "record".
        numbers: number of each part in errors.

    Raises:
        OSError: a part cannot be read.
        ValueError: the file ends within a part.
    """

    def read_from(first: int) -> int:
        """Returns the number of buffers that are full. Fills at least one, or raises."""
        descriptor = open_at_once(os.fspath(path), os.O_RDONLY)
        try:
            for index in range(first, len(parts)):
                place = f"{kind} {numbers[index]} (offset {offsets[index]})"
                try:
                    size = os.preadv(descriptor, [parts[index]], offsets[index])
                except OSError as error:
                    if index > first and error.errno in PASSING:
                        return index
                    reason = f"{place}: {error.strerror}"
                    raise OSError(error.errno, reason, os.fspath(path)) from error
                if size != len(parts[index]):
                    raise ValueError(f"{path} {place}: the file ends within the {kind}.")
        finally:
            os.close(descriptor)
        return len(parts)

    full = 0
    while full < len(parts):  # Many parts from a wavering disk: each has attempts of its own.
        full = retried(functools.partial(read_from, full), path)


def write_atomically(path: PathLike, content: bytes | memoryview) -> None:
    """Writes a file under a temporary name beside it, syncs it and renames it.

    Raises:
        OSError: it cannot be written; the previous file is untouched.
    """
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"

    def write() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        # "x" follows no link, which a folder from elsewhere may hold under this name.
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(os.path.dirname(path) or ".")

    try:
        retried(write, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def append_line(path: PathLike, line: str, sync: bool = True) -> None:
    """Appends a line, after ending a torn last one. A second attempt leaves no part of the first.

    Args:
        path: file, created if there is none; see `open_no_link`.
        line: text without a line break.
        sync: bring the line to the disk before returning.
    """

    def after_torn_line(last_byte: bytes) -> bytes:
        return (b"\n" if last_byte not in (b"", b"\n") else b"") + line.encode() + b"\n"

    _append(path, after_torn_line, sync)


def append(path: PathLike, content: bytes) -> None:
    """Appends bytes, without waiting for the disk. A second attempt leaves no part of the first.

    Args:
        path: file, created if there is none; see `open_no_link`.
        content: bytes to append.
    """
    _append(path, lambda last_byte: content, sync=False)


def open_no_link(path: PathLike, mode: str) -> IO[Any]:
    """Opens a regular file for appending ("a", "ab+") in a folder that others may have filled.

    Raises:
        ValueError: it is a link, which may lead elsewhere, or not a regular file.
    """
    return retried(lambda: _open_no_link(path, mode), path)


def open_at_once(path: str, flags: int) -> int:
    """Opener for `open` that does not wait for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def exists(path: PathLike) -> bool:
    """True if there is such a file or folder. Raises OSError if that cannot be found out."""
    try:
        retried(lambda: os.stat(path), path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def entries(folder: PathLike) -> list[os.DirEntry[str]]:
    """Lists a folder; [] if there is none. Raises OSError if it cannot be read."""

    def scan() -> list[os.DirEntry[str]]:
        with os.scandir(folder) as found:
            return list(found)

    try:
        return retried(scan, folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextlib.contextmanager
def errors_that_name(path: PathLike) -> Iterator[None]:
    """Context manager that makes errors of reading and writing name `path`.

    On a full disk Python names no file, and otherwise only a temporary name.
    """
    path = os.fspath(path)
    try:
        yield
    except OSError as error:
        name = str(error.filename or "")
        if error.errno and name != path and (not name or name.startswith(path)):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def _append(path: PathLike, after: Callable[[bytes], bytes], sync: bool) -> None:
    """Appends what `after` returns for the last byte of the file, b"" of an empty one."""
    start, content = 0, b""

    def attempt() -> None:
        nonlocal start, content
        with _open_no_link(path, "ab+") as file:
            if not content:
                start = file.seek(0, os.SEEK_END)
                file.seek(max(start - 1, 0))
                content = after(file.read())
            file.seek(start)
            left = file.read()
            if left and content.startswith(left):  # Otherwise somebody else has appended it.
                file.truncate(start)
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())

    retried(attempt, path)


def _open_no_link(path: PathLike, mode: str) -> IO[Any]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    try:
        file = open(path, mode, opener=opener)
    except OSError as error:
        is_odd = error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR)
        if not is_odd and not isinstance(error, io.UnsupportedOperation):  # A pipe has no end.
            raise
    else:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise ValueError(f"{path}: must be a file of its own to be written, not a link. Remove it.")


def _sync_folder(folder: str) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
