"""Communication between workers: sums of integers over all of them, bytes from the chief to all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

CHUNK = 1 << 19  # int64 values per message: 4 MiB


class WorkerLost(RuntimeError):
    """Another worker has gone. The job must be started again, and will continue."""


class Workers:
    """The processes that share a strategy; usually just this one.

    `all_reduce_sum` and `broadcast` are collective: all workers call them in the same order.

    Attributes:
        num: number of workers.
        is_chief: True on the worker that writes the files: the task `chief`, or else `worker` 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self.num, self.is_chief = 1, True
        resolver = strategy.cluster_resolver
        if resolver is not None:
            spec, task = resolver.cluster_spec(), (resolver.task_type, resolver.task_id)
            self.num = sum(spec.num_tasks(job) for job in spec.jobs) or 1
            self.is_chief = task == ("chief" if "chief" in spec.jobs else "worker", 0)
        self._sum = tf.function(lambda values: strategy.run(self._on_replica, args=(values,)))

    def all_reduce_sum(self, values: Sequence[int]) -> list[int]:
        """Sums each integer over the workers. Returns the sums on every worker."""
        if self.num == 1:
            return list(values)
        sums: list[int] = self._all_reduce(np.array(values, np.int64)).tolist()
        return sums

    def broadcast(self, make: Callable[[], bytes]) -> bytes:
        """Calls `make` on the chief only. Returns its bytes on every worker.

        Raises:
            ValueError: on every worker, if `make` raised it or OSError on the chief.
        """
        if self.num == 1:
            return make()
        data, error = b"", None
        if self.is_chief:
            try:
                data = make()
            except (ValueError, OSError) as caught:
                data, error = str(caught).encode(), caught
        size, failed = self.all_reduce_sum([len(data), error is not None])
        received = self._send(data, size)
        if error is not None:
            raise error
        if failed:
            raise ValueError(f"the chief has stopped: {received.decode()}")
        return received

    def _send(self, data: bytes, size: int) -> bytes:
        """Sends the chief's `size` bytes to every worker, as their sum with the others' zeros."""
        received = []
        for begin in range(0, size, CHUNK * 8):
            chunk, part = np.zeros(CHUNK, np.int64), data[begin : begin + CHUNK * 8]
            chunk.view(np.uint8)[: len(part)] = np.frombuffer(part, np.uint8)
            received.append(self._all_reduce(chunk).tobytes())
        return b"".join(received)[:size]

    def _all_reduce(self, values: np.ndarray) -> np.ndarray:
        """Sums over the workers: int64 [n] -> int64 [n]."""
        per_replica = self._sum(tf.constant(values))
        sums: np.ndarray = self._strategy.experimental_local_results(per_replica)[0].numpy()
        return sums

    def _on_replica(self, values: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        replicas_of_worker = context.num_replicas_in_sync // self.num
        is_first = context.replica_id_in_sync_group % replicas_of_worker == 0
        # Only one replica contributes its worker's values; the others would count them again.
        mine = values * tf.cast(is_first, tf.int64)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)


@contextlib.contextmanager
def lost_workers_reported() -> Iterator[None]:
    """Context manager that turns TensorFlow's errors about a lost worker into WorkerLost."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise WorkerLost(
            "another worker has gone. Start all workers again: they continue from the last "
            f"checkpoint. TensorFlow: {' '.join(error.message.split())[:300]}"
        ) from error
