"""Peak memory of training, and advice when there is too little."""

from __future__ import annotations

import contextlib
import math
import pathlib
import resource
import sys

import tensorflow as tf

from pgtf.schedule import ScheduleState
from pgtf.training.config import RunConfig

_GIB = 2**30


def peak_gib() -> float:
    """Returns the peak GPU memory, or the peak resident memory of a process without GPUs."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        peaks = [tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus]
        return max(peaks) / _GIB
    with contextlib.suppress(OSError):  # Linux, where getrusage counts the parent before `exec` too
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / _GIB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB


def forget_peak() -> None:
    """Resets `peak_gib` to the memory in use now, where the system allows it."""
    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)
    with contextlib.suppress(OSError):  # Linux: resets the peak of the resident memory
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def out_of_memory(now: ScheduleState, config: RunConfig) -> str:
    """Returns a message that says at which stage memory ran out and which flags help."""
    schedule = config.schedule
    per_device = now.minibatch // schedule.num_gpus
    held = per_device // schedule.grad_accumulation  # at a time
    group = config.D.group_of(held)
    size = config.G.base.size_text(now.resolution)
    where = f"out of memory at {size} with a minibatch of {held} per device"
    if held == 1:
        return f"{where}: --config.schedule.max_minibatch_per_gpu cannot lower it further."
    half = held // 2 - (held // 2 % group if 1 < group < held // 2 else 0)
    limits = {**schedule.max_minibatch_per_gpu, now.resolution: half}
    caps = ",".join(f"{k}:{v}" for k, v in limits.items())
    return (
        f"{where}. Lower it with --config.schedule.max_minibatch_per_gpu={caps} "
        f"--allow_config_change; with --grad_accumulation={math.ceil(per_device / half)} in "
        "addition, the minibatch of an update stays as it is."
    )
