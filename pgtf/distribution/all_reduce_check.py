"""Checks, in a process that can be killed, that the replicas can sum their values.

A collective that hangs (because of a driver or a wrong network interface) cannot be cancelled from
inside its process. This module is also what the child process runs:

    python -m pgtf.distribution.all_reduce_check '[2, 0, "nccl"]'
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf.distribution.cluster import num_workers
from pgtf.distribution.strategy import make_strategy
from pgtf.distribution.watchdog import time_limit

WAIT_FOR_WORKERS_SEC = 600.0  # this worker's wait for the last one to start
TIMEOUT_SEC = 180.0  # includes the start of TensorFlow
REMEDIES = (
    "Try another --all_reduce (one-device always works; with TF_CONFIG: ring), or set "
    "NCCL_P2P_DISABLE=1, or NCCL_SOCKET_IFNAME to the interface; NCCL_DEBUG=INFO says more"
)
SIZES = (1, 1000, 1_000_000)  # float32 values: latency only, one layer, several packets


def tested_strategy(
    num_gpus: int | None, cpu_replicas: int, all_reduce: str
) -> tf.distribute.Strategy:
    """Returns `make_strategy` of these arguments, after a sum over its replicas has worked.

    Kills the process if not all workers start in time.

    Raises:
        ValueError: as `make_strategy` and `run` do.
    """
    devices = (num_gpus, cpu_replicas, all_reduce)
    if not num_workers():
        strategy = make_strategy(*devices)
        if strategy.num_replicas_in_sync > 1:
            run(*devices)
        return strategy
    logging.info("Waiting for all %d workers of TF_CONFIG ...", num_workers())
    message = (
        f"not all workers of TF_CONFIG could be reached within {WAIT_FOR_WORKERS_SEC:g} seconds. "
        "Start them all, and look at the addresses and the network."
    )
    with time_limit(WAIT_FOR_WORKERS_SEC, message):
        strategy = make_strategy(*devices)
    run_with_other_workers(strategy)
    return strategy


def run(
    num_gpus: int | None, cpu_replicas: int, all_reduce: str, timeout_sec: float = TIMEOUT_SEC
) -> None:
    """Sums over the replicas of one machine, those of `make_strategy`, in a child process.

    Raises:
        ValueError: if the sum is wrong, fails, or takes longer than `timeout_sec`; names remedies.
    """
    root = str(pathlib.Path(__file__).parents[2])
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    environment["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pgtf.distribution.all_reduce_check"]
    command.append(json.dumps([num_gpus, cpu_replicas, all_reduce]))
    try:
        child = subprocess.run(
            command, env=environment, timeout=timeout_sec, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"the sum over all replicas hangs: no result in {timeout_sec:g} seconds with "
            f"--all_reduce={all_reduce}. {REMEDIES}."
        ) from None
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise ValueError(
            f"the sum over all replicas fails with --all_reduce={all_reduce}: {last} {REMEDIES}."
        )


def run_with_other_workers(
    strategy: tf.distribute.Strategy, timeout_sec: float = TIMEOUT_SEC
) -> None:
    """Sums over the replicas of all workers, in this process. A hang kills the process."""
    message = f"the sum over all workers hangs: no result in {timeout_sec:g} seconds. {REMEDIES}."
    with time_limit(timeout_sec, message):
        check_sums(strategy)


def check_sums(strategy: tf.distribute.Strategy) -> None:
    """Sums 1, 2, 3, ... over the replicas. Raises ArithmeticError if one gets a wrong result."""
    replicas = strategy.num_replicas_in_sync

    def on_replica(size: int) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        number = tf.cast(context.replica_id_in_sync_group + 1, tf.float32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.fill([size], number))

    for size in SIZES:
        results = tf.function(strategy.run)(on_replica, args=(size,))
        for result in strategy.experimental_local_results(results):
            if not np.all(result == replicas * (replicas + 1) / 2):
                raise ArithmeticError(f"{size} values summed over {replicas} replicas are wrong")


if __name__ == "__main__":
    check_sums(make_strategy(*json.loads(sys.argv[1])))
