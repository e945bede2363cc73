"""Reads files with native libraries in another process, which a damaged file may end."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any

from pgtf.dataset.workers import Worker, WorkerDied

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
        ended = signal.Signals(-error.code).name if error.code < 0 else f"exit code {error.code}"
        raise ValueError(f"{source}: damaged: reading it ended with {ended}.") from None
    except MemoryError:
        raise ValueError(
            f"{source}: damaged: reading it takes more than {max_bytes >> 20} MiB of memory."
        ) from None
    finally:
        worker.stop()


class _Reader:
    """In the process: gives the next result as a tuple, and None after the last."""

    def __init__(self, read: Callable[..., Iterator[Any]], args: tuple[Any, ...], seconds: int):
        self._read, self._args, self._seconds = read, args, seconds
        self._results: Iterator[Any] | None = None

    def __call__(self, _: None) -> tuple[Any] | None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + self._seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        if self._results is None:
            self._results = self._read(*self._args)
        for result in self._results:
            return (result,)
        return None
