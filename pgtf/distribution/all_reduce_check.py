"""Whether the replicas can sum over each other: tried in a process that can be killed.

A collective that hangs (a driver, a wrong network interface) cannot be cancelled from inside the
process. Run as a module it is that process:

    python -m pgtf.distribution.all_reduce_check '[2, 0, "nccl"]'
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf.distribution.strategy import make_strategy, num_workers
from pgtf.distribution.watchdog import time_limit

WAIT_FOR_WORKERS_SEC = 600.0  # from the start of this worker to that of the last one
TIMEOUT_SEC = 180.0  # TensorFlow's start included
REMEDIES = (
    "Try another --all_reduce (one-device always works; with TF_CONFIG: ring), or set "
    "NCCL_P2P_DISABLE=1, or NCCL_SOCKET_IFNAME to the interface; NCCL_DEBUG=INFO says more"
)
SIZES = (1, 1000, 1_000_000)  # float32 values: latency, a layer, more than one package


def tested_strategy(num_gpus, cpu_replicas, all_reduce):
    """`make_strategy` of these arguments, after a sum over its replicas has worked.

    Raises:
        ValueError: as `make_strategy` and `run`. Waiting for workers in vain ends the process.
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


def run(num_gpus, cpu_replicas, all_reduce, timeout_sec=TIMEOUT_SEC):
    """Tries `make_strategy(num_gpus, cpu_replicas, all_reduce)` of one machine in a child process.

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


def run_with_other_workers(strategy, timeout_sec=TIMEOUT_SEC):
    """Tries the same in this process, on all workers; a hang ends the process."""
    message = f"the sum over all workers hangs: no result in {timeout_sec:g} seconds. {REMEDIES}."
    with time_limit(timeout_sec, message):
        check_sums(strategy)


def check_sums(strategy):
    """Sums 1, 2, 3, ... over the replicas; ArithmeticError if one gets another result."""
    replicas = strategy.num_replicas_in_sync

    def on_replica(size):
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
