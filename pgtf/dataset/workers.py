"""An ordered map over worker processes, with a bounded number of results in memory.

Workers are plain Python processes that import the function's module, not the caller's main script:
scripts need no `__main__` guard, and workers do not load TensorFlow. Arrays return through a file
in memory, many times faster than through a pipe.
"""

from __future__ import annotations

import collections
import contextlib
import io
import itertools
import mmap
import os
import pickle
import queue
import resource
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from typing import Any, TypeVar

import numpy as np

from pgtf.foreign import terminal

Task = TypeVar("Task")
Result = TypeVar("Result")

LARGE = 1 << 26  # bytes of a result, from which copying takes longer than mapping
ALIGNMENT = 64  # of arrays, bytes
NO_LIMIT = 0  # of a process's memory
TASKS_AHEAD = 2  # tasks per worker in progress while the caller waits for the oldest result
# Each worker is one process on one core, so threads inside it would only compete.
SINGLE_THREADED = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",  # A restoration network may run in a worker.
        "TF_NUM_INTEROP_THREADS",
    )
}
# When a large array is freed, glibc returns its memory, and the system must clear each page of the
# next one, which took a tenth of a worker's time. With these values glibc keeps arrays of up to 64
# MiB, and up to 128 MiB of free memory.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "134217728"}


def default_num_workers() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(
    function: Callable[[Task], Result], tasks: Iterable[Task], num_workers: int
) -> Iterator[Result]:
    """Yields function(task) for each task, in the order of the tasks.

    Args:
        function: a function, or instance of a class, that can be pickled: it and its module are
            imported by the workers. An exception in it is raised here.
        tasks: read lazily, at most TASKS_AHEAD per worker in advance.
        num_workers: processes; 1 = work in this process.

    Raises:
        OSError: a worker was killed.
    """
    if num_workers <= 1:
        yield from map(function, tasks)
        return
    workers: list[Worker] = []
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def run(task: Task) -> Any:
        worker = idle.get()
        try:
            return worker.call(task)
        finally:
            idle.put(worker)

    # One thread per worker sends a task and waits for the result.
    pool = ThreadPoolExecutor(num_workers)
    pending: collections.deque[Future[Any]] = collections.deque()
    try:
        for _ in range(num_workers):
            workers.append(Worker())
            workers[-1].begin(function)
            idle.put(workers[-1])
        for task in tasks:
            pending.append(pool.submit(run, task))
            if len(pending) > TASKS_AHEAD * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for worker in workers:
            worker.stop()
        pool.shutdown()


class WorkerDied(OSError):
    """A worker process ended while it was at work.

    Attributes:
        code: its exit code; negative = the signal that killed it.
    """

    def __init__(self, code: int):
        super().__init__(
            f"A worker process ended with exit code {code}. "
            "If memory ran out, use fewer with --num_workers."
        )
        self.code = code


class Worker:
    """A worker process and the connections to it."""

    def __init__(self, max_bytes: int = NO_LIMIT, quiet: bool = False) -> None:
        """Starts the process.

        Args:
            max_bytes: memory that it may allocate; NO_LIMIT = any amount.
            quiet: hide what native code in it prints before it aborts.
        """
        self._connection, theirs = Pipe()
        self._arrays = _memory_file()
        descriptors = (theirs.fileno(), self._arrays)
        command = (
            f"import sys; sys.path = {sys.path!r}; "
            f"from pgtf.dataset import workers; workers.serve{(*descriptors, max_bytes)}"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", command],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C reaches the caller alone, which stops us.
            env=os.environ | SINGLE_THREADED | (KEEP_MEMORY if max_bytes == NO_LIMIT else {}),
        )
        theirs.close()

    def begin(self, function: Callable[[Any], Any]) -> None:
        """Sends the function that the worker will apply to its tasks."""
        self._connection.send(function)

    def call(self, task: Any) -> Any:
        """Runs one task in the worker; raises its exception."""
        self.send(task)
        return self.receive()

    def send(self, task: Any) -> None:
        """Starts a task; `receive` waits for its result."""
        with contextlib.suppress(ConnectionError):  # `receive` reports that it is gone.
            self._connection.send(task)

    def receive(self) -> Any:
        """Returns the result of a task, or raises its exception."""
        try:
            failed, pickled, sizes = self._connection.recv()
            buffers = self._buffers(sizes)
        except (EOFError, ConnectionError) as error:
            raise WorkerDied(self._process.wait()) from error
        # Unpickling is safe: our own worker wrote this.
        result = pickle.Unpickler(io.BytesIO(pickled), buffers=buffers).load()
        if failed:
            raise result
        return result

    def _buffers(self, sizes: Sequence[int]) -> list[np.ndarray]:
        """Returns the content of a result's arrays."""
        if sum(sizes) >= LARGE:
            return _map(_receive_file(self._connection), sizes)
        buffers = [np.empty(size, np.uint8) for size in sizes]
        _transfer(os.preadv, self._arrays, [buffer.data for buffer in buffers])
        return buffers

    def stop(self) -> None:
        """Ends the process, even if it is at work."""
        self._process.terminate()
        self._process.wait()
        os.close(self._arrays)
        with contextlib.suppress(OSError):
            self._connection.close()


def serve(connection_descriptor: int, arrays: int, max_bytes: int) -> None:
    """Runs in a worker process: receives a function, then tasks until the caller is gone."""
    if max_bytes != NO_LIMIT:
        # Only memory of its own counts, not files that are mapped: LSUN's claim a terabyte.
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    terminal.guard()
    connection = Connection(connection_descriptor)
    with contextlib.suppress(EOFError, ConnectionError):
        function = connection.recv()
        while True:
            failed, result = _attempt(function, connection.recv())
            buffers: list[pickle.PickleBuffer] = []
            pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
            views = [buffer.raw() for buffer in buffers]
            sizes = [len(view) for view in views]
            if sum(sizes) >= LARGE:
                connection.send((failed, pickled, sizes))
                _send_file(connection, views)
            else:
                _transfer(os.pwritev, arrays, views)
                connection.send((failed, pickled, sizes))


def _attempt(function: Callable[[Any], Any], task: Any) -> tuple[bool, Any]:
    """Calls the function: -> (True if it failed, result or exception)."""
    try:
        return False, function(task)
    except Exception as error:
        try:
            pickle.dumps(error)
        except Exception:
            return True, RuntimeError(traceback.format_exc())
        return True, error


def _memory_file() -> int:
    """Opens a file without a name, in memory if the system can: -> descriptor."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("arrays")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _transfer(operation: Callable[..., int], descriptor: int, buffers: Sequence[Any]) -> None:
    """Reads or writes buffers one after the other, from the start of the file."""
    for buffer, begin in zip(buffers, _offsets([len(buffer) for buffer in buffers]), strict=True):
        offset, rest = begin, memoryview(buffer)
        while rest:
            done = operation(descriptor, [rest], offset)
            offset, rest = offset + done, rest[done:]


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Places buffers in a file so that arrays of any type are aligned."""
    ends = itertools.accumulate((-(-size // ALIGNMENT) * ALIGNMENT for size in sizes), initial=0)
    return list(ends)[:-1]


def _send_file(connection: Connection, views: Sequence[memoryview]) -> None:
    """Sends buffers in a file of their own, which the receiver maps instead of copying it."""
    descriptor = _memory_file()
    try:
        os.ftruncate(descriptor, _offsets([*map(len, views), 0])[-1])  # also for an empty last one
        _transfer(os.pwritev, descriptor, views)
        with socket.socket(fileno=os.dup(connection.fileno())) as channel:
            socket.send_fds(channel, [b"f"], [descriptor])
    finally:
        os.close(descriptor)


def _receive_file(connection: Connection) -> int:
    with socket.socket(fileno=os.dup(connection.fileno())) as channel:
        _, descriptors, *_ = socket.recv_fds(channel, 1, 1)
    if not descriptors:
        raise EOFError
    return descriptors[0]


def _map(descriptor: int, sizes: Sequence[int]) -> list[np.ndarray]:
    """Maps the buffers of a file into memory, and closes the file."""
    try:
        content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)
    finally:
        os.close(descriptor)
    whole, begins = np.frombuffer(content, np.uint8), _offsets(sizes)
    return [whole[begin : begin + size] for begin, size in zip(begins, sizes, strict=True)]
