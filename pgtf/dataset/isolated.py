"""Reads files with native libraries in another process, which a damaged file may end."""

from __future__ import annotations

import resource
import signal
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from pgtf.dataset.workers import NO_LIMIT, Worker, WorkerDied

BASE_BYTES = 1 << 29  # memory of the process before it reads anything
MAX_CPU_SECONDS = 120  # between two results; waiting for a disk does not count


def isolated(
    source: str,
    read: Callable[..., Iterator[Any]],
    *args: Any,
    max_bytes: int,
    max_cpu_seconds: int = MAX_CPU_SECONDS,
) -> Iterator[Any]:
    """Yields what read(*args) yields in a process of its own, which reads one result ahead.

    Args:
        source: name of the file, for errors.
        read: a function of a module; its results and exceptions are pickled.
        args: its arguments.
        max_bytes: memory that reading may take.
        max_cpu_seconds: time of the processor that each result may take.

    Raises:
        ValueError: the process died, or needed too much memory or time. Also what `read` raises.
    """
    worker = Worker(BASE_BYTES + max_bytes, quiet=True)
    try:
        worker.begin(_Reader(read, args, max_cpu_seconds))
        worker.send(None)
        while (result := worker.receive()) is not None:
            worker.send(None)
            yield result[0]
    except WorkerDied as error:
        raise ValueError(f"{source}: damaged: {_ended(error)}. Get an intact copy.") from None
    except MemoryError:
        raise ValueError(f"{source}: damaged: {_too_large(max_bytes)}.") from None
    finally:
        worker.stop()


class Isolation:
    """A process that reads one file after the other; if one ends it, the next begins another."""

    def __init__(self, read: Callable[..., Any], max_cpu_seconds: int = MAX_CPU_SECONDS) -> None:
        """Takes a function of a module, and the time of the processor that a call may take."""
        self._read, self._seconds = read, max_cpu_seconds
        self._worker: Worker | None = None
        self._stop: Callable[[], object] = lambda: None

    def __call__(self, *args: Any, max_bytes: int) -> Any:
        """Returns read(*args); `max_bytes` is the memory that it may take.

        Raises:
            ValueError: the process died, or needed too much memory or time. The message does not
                name the file. Also what `read` raises.
        """
        if self._worker is None:
            self._worker = Worker(NO_LIMIT, quiet=True)
            self._stop = weakref.finalize(self, self._worker.stop)  # also when Python ends
            self._worker.begin(_Limited(self._read, self._seconds))
        try:
            return self._worker.call((max_bytes, args))
        except WorkerDied as error:
            self._end()
            raise ValueError(f"damaged: {_ended(error)}") from None
        except MemoryError:
            self._end()
            raise ValueError(f"damaged: {_too_large(max_bytes)}") from None
        except (ValueError, OSError):
            raise
        except BaseException:  # It may still be at work.
            self._end()
            raise

    def _end(self) -> None:
        self._stop()
        self._worker = None


def _ended(error: WorkerDied) -> str:
    ended = signal.Signals(-error.code).name if error.code < 0 else f"exit code {error.code}"
    return f"reading it ended with {ended}"


def _too_large(max_bytes: int) -> str:
    return f"reading it takes more than {max_bytes >> 20} MiB of memory"


def _allow_cpu(seconds: int) -> None:
    """Lets this process use so many more seconds of the processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


class _Limited:
    """In the process of an Isolation: reads one file within limits."""

    def __init__(self, read: Callable[..., Any], seconds: int) -> None:
        self._read, self._seconds = read, seconds

    def __call__(self, task: tuple[int, tuple[Any, ...]]) -> Any:
        max_bytes, args = task
        _allow_cpu(self._seconds)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + max_bytes, hard))
        return self._read(*args)


def _data_bytes() -> int:
    """Memory of this process that counts for its limit."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData:"))
    except (OSError, StopIteration):  # a system without it
        return BASE_BYTES


class _Reader:
    """In the process: gives the next result as a tuple, and None after the last."""

    def __init__(self, read: Callable[..., Iterator[Any]], args: tuple[Any, ...], seconds: int):
        self._read, self._args, self._seconds = read, args, seconds
        self._results: Iterator[Any] | None = None

    def __call__(self, _: None) -> tuple[Any] | None:
        _allow_cpu(self._seconds)
        if self._results is None:
            self._results = self._read(*self._args)
        for result in self._results:
            return (result,)
        return None
