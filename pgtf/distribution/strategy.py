"""Choice of the training devices and of the tf.distribute strategy that joins them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pgtf.distribution.cluster import num_workers

# The all-reduce implementations of cluster.ALL_REDUCE.
_ONE_MACHINE: dict[str, Any] = {
    "auto": lambda: None,  # TensorFlow's choice: NCCL between GPUs, one device otherwise
    "nccl": tf.distribute.NcclAllReduce,
    "hierarchical": tf.distribute.HierarchicalCopyAllReduce,
    "one-device": tf.distribute.ReductionToOneDevice,
}
_SEVERAL_MACHINES: dict[str, Any] = {
    "auto": tf.distribute.experimental.CommunicationImplementation.AUTO,
    "nccl": tf.distribute.experimental.CommunicationImplementation.NCCL,
    "ring": tf.distribute.experimental.CommunicationImplementation.RING,
}


def make_strategy(
    num_gpus: int | None = None, cpu_replicas: int = 0, all_reduce: str = "auto"
) -> tf.distribute.Strategy:
    """Makes the strategy. Call it before anything runs on TensorFlow's devices.

    With TF_CONFIG in the environment this process is one of several workers. All of them must call
    it; it returns when all have. Without TF_CONFIG all replicas are in this process.

    Args:
        num_gpus: GPUs of this machine to train on; None = one if there is any, 0 = CPU.
        cpu_replicas: N > 0 splits the CPU into N logical devices, one replica each.
        all_reduce: one of ALL_REDUCE.

    Returns:
        A tf.distribute strategy; for a single device the default one, which has no overhead.

    Raises:
        ValueError: if there are fewer GPUs than requested, if arguments exclude each other, or if
            TF_CONFIG is invalid.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if num_gpus and cpu_replicas:
        raise ValueError(
            "`--cpu_replicas` and `--gpus` exclude each other. "
            f"Received: cpu_replicas={cpu_replicas}, gpus={num_gpus}."
        )
    if num_gpus is None:
        num_gpus = 0 if cpu_replicas else min(len(gpus), 1)
    if num_gpus > len(gpus):
        names = ", ".join(gpu.name for gpu in gpus) or "none"
        raise ValueError(
            f"`--gpus` must not exceed the visible GPUs ({names}). Received: gpus={num_gpus}. "
            "Train on the CPU with --gpus=0."
        )
    workers = num_workers()  # checks TF_CONFIG
    _check_all_reduce(all_reduce, max(num_gpus, cpu_replicas, 1), num_gpus)
    if workers and cpu_replicas > 1:
        raise ValueError(
            "`--cpu_replicas` is for one machine; with TF_CONFIG a CPU is one replica. "
            f"Received: cpu_replicas={cpu_replicas}."
        )
    _use_only(gpus[:num_gpus])
    if workers:
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=_SEVERAL_MACHINES[all_reduce]
        )
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    if cpu_replicas > 1:
        _split_cpu(cpu_replicas)
    devices = [f"GPU:{i}" for i in range(num_gpus)] or [f"CPU:{i}" for i in range(cpu_replicas)]
    if len(devices) <= 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=_ONE_MACHINE[all_reduce]())


def describe_devices(strategy: tf.distribute.Strategy, precision: str = "fp32") -> str:
    """Returns one line for the log: the replicas' devices, versions, precision."""
    gpus = tf.config.get_visible_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    where = ", ".join(map(str, names)) if names else "the CPU (no GPU is used)"
    if num_workers():
        where = f"{num_workers()} worker(s), this one with {where}"
    return (
        f"{strategy.num_replicas_in_sync} replica(s) on {where}; TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}, Python {platform.python_version()}, {precision}"
    )


def _check_all_reduce(name: str, num_devices: int, num_gpus: int) -> None:
    """Raises ValueError unless the strategy for these devices has this all-reduce."""
    several = num_workers() > 0
    known = _SEVERAL_MACHINES if several else _ONE_MACHINE
    if not several and num_devices == 1:
        known = {"auto": None}
    lacking = set() if num_gpus else {"nccl"}  # NCCL has no CPU kernel
    if num_devices % 2:
        lacking.add("hierarchical")  # TensorFlow sums two halves and ignores an odd device
    choices = [choice for choice in known if choice not in lacking]
    if name not in choices:
        where = "several workers" if several else f"{num_devices} device(s)"
        kind = "GPU" if num_gpus else "CPU"
        raise ValueError(
            f"`--all_reduce` must be {' or '.join(choices)} for {where} of type {kind}. "
            f"Received: all_reduce={name}."
        )


def _use_only(gpus: Sequence[Any]) -> None:
    """Hides the other GPUs. In a notebook that has used TensorFlow they stay visible, but idle.

    Raises:
        ValueError: if no GPU is to be used, but TensorFlow uses them already.
    """
    try:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.set_visible_devices(gpus, "GPU")
    except RuntimeError:
        if not gpus:
            raise ValueError(
                "`--gpus` must not be 0 after TensorFlow has used a GPU in this process. Restart "
                "it, and train before anything else or with CUDA_VISIBLE_DEVICES=-1."
            ) from None


def _split_cpu(replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    device = tf.config.LogicalDeviceConfiguration()
    try:
        tf.config.set_logical_device_configuration(cpu, [device] * replicas)
    except RuntimeError:
        raise ValueError(
            "`--cpu_replicas` must be given before TensorFlow has used the CPU in this process. "
            f"Restart it. Received: cpu_replicas={replicas}."
        ) from None
