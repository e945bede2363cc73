"""What several workers tell each other: what the chief read, and whether anyone must stop."""

import contextlib

import numpy as np
import tensorflow as tf

CHUNK = 1 << 19  # int64 values sent at a time: 4 MiB


class WorkerLost(RuntimeError):
    """Another worker has gone: the job must be started again, and will continue."""


class Workers:
    """The processes that share a strategy; usually just this one.

    `total` and `from_chief` are collective: all workers call them in the same order.

    Attributes:
        num: how many there are.
        is_chief: whether this one writes the files: the task `chief`, or else `worker` 0.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.num, self.is_chief = 1, True
        resolver = strategy.cluster_resolver
        if resolver is not None:
            spec, task = resolver.cluster_spec(), (resolver.task_type, resolver.task_id)
            self.num = sum(spec.num_tasks(job) for job in spec.jobs) or 1
            self.is_chief = task == ("chief" if "chief" in spec.jobs else "worker", 0)
        self._sum = tf.function(lambda values: strategy.run(self._on_replica, args=(values,)))

    def total(self, values):
        """Sum of integers over the workers: list of int -> list of int."""
        return values if self.num == 1 else self._total(np.array(values, np.int64)).tolist()

    def from_chief(self, make):
        """Calls make() -> bytes on the chief: -> these bytes on every worker.

        Raises:
            ValueError: on every worker, if make() raised it or OSError on the chief.
        """
        if self.num == 1:
            return make()
        data, error = b"", None
        if self.is_chief:
            try:
                data = make()
            except (ValueError, OSError) as caught:
                data, error = str(caught).encode(), caught
        size, failed = self.total([len(data), error is not None])
        received = self._broadcast(data, size)
        if error is not None:
            raise error
        if failed:
            raise ValueError(f"the chief has stopped: {received.decode()}")
        return received

    def _broadcast(self, data, size):
        """`data` of the chief, `size` bytes, on every worker: its sum with zeros of the others."""
        received = []
        for begin in range(0, size, CHUNK * 8):
            chunk, part = np.zeros(CHUNK, np.int64), data[begin : begin + CHUNK * 8]
            chunk.view(np.uint8)[: len(part)] = np.frombuffer(part, np.uint8)
            received.append(self._total(chunk).tobytes())
        return b"".join(received)[:size]

    def _total(self, values):
        """Sum over the workers: int64 [n] -> int64 [n]."""
        per_replica = self._sum(tf.constant(values))
        return self._strategy.experimental_local_results(per_replica)[0].numpy()

    def _on_replica(self, values):
        context = tf.distribute.get_replica_context()
        replicas_of_worker = context.num_replicas_in_sync // self.num
        is_first = context.replica_id_in_sync_group % replicas_of_worker == 0
        mine = values * tf.cast(is_first, tf.int64)  # only one replica of a worker speaks for it
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)


@contextlib.contextmanager
def losses_noticed():
    """Turns TensorFlow's errors about a worker that has gone into WorkerLost."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise WorkerLost(
            "another worker has gone. Start all workers again: they continue from the last "
            f"checkpoint. TensorFlow: {' '.join(error.message.split())[:300]}"
        ) from error
