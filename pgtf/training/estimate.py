"""Estimates of a run before it starts: parameters, memory, disk space and time.

The time is that of `cost.iteration_cost`, whose unit takes as long as one of two yardsticks says: a
matrix product on this machine's CPU, or the iterations measured on one GPU (docs/performance.md).
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from pgtf.dataset.workers import default_num_workers
from pgtf.networks import DiscriminatorConfig, GeneratorConfig, weight_shapes
from pgtf.runs import checkpoints
from pgtf.schedule import ScheduleState
from pgtf.training import pictures
from pgtf.training.config import RunConfig
from pgtf.training.cost import compilation_cost, iteration_cost

FACTOR = 1.5  # by which the time on a CPU may be wrong if nothing else runs there

# Fitted to the table of iterations on a CPU in docs/performance.md: useful FLOPs that the best
# matrix product does in the time of one unit of cost. Fast convolutions do less than two.
_FLOPS_PER_COST = 1.55
# The rest of a half-precision iteration on a CPU: 0.42 of fp32 where products are 8 times as fast.
_FLOAT32_PART = 0.35
_FP16_SLOWNESS = 15.0  # docs/performance.md, "Which precision"
_SEC_PER_COMPILATION = 1.0  # "A change of stage takes 3 to 14 s."
_START_SEC = 15.0  # imports, networks, the first pictures and checkpoint

# Seconds per unit of cost on an NVIDIA H200, fitted to its table in docs/performance.md.
_GPU_NAME = "NVIDIA H200"
_GPU_SEC = {"fp32": 3.55e-14, "tf32": 4.87e-15, "bf16": 4.75e-15, "fp16": 4.30e-15}

_MATRIX_SIDE = 512  # one product takes about 1 ms on two cores
_PRODUCTS, _MEASURING_SEC = 4, 0.25  # per measurement, and of all of them

# Tensors over what an iteration cannot do without, in docs/notebook.md: 1.14 to 1.19.
_MEMORY_RATIO = 1.16
_PROCESS_BYTES = 1.5 * 2**30  # Python, TensorFlow and buffers of images on a CPU


class Machine(NamedTuple):
    """Speed of what will train."""

    name: str  # as in "on NAME"
    num_cores: int | None  # of its CPU; None = GPUs
    sec_per_cost: float  # of one replica's iterations on a GPU, of all replicas' on a CPU


def gpus(precision: str, number: int = 1) -> Machine:
    """Describes GPUs by the one that was measured."""
    name = f"one {_GPU_NAME}" if number == 1 else f"{number} GPUs such as the {_GPU_NAME}"
    return Machine(name, None, _GPU_SEC[precision])


def this_cpu(precision: str) -> Machine:
    """Measures this machine's CPU for about half a second, once per process."""
    cores = default_num_workers()
    seconds = _FLOPS_PER_COST / _flops_per_sec(tf.float32)
    if precision == "fp16":
        seconds *= _FP16_SLOWNESS
    elif precision == "bf16":
        ratio = _flops_per_sec(tf.float32) / _flops_per_sec(tf.bfloat16)
        seconds *= _FLOAT32_PART + (1 - _FLOAT32_PART) * ratio
    plural = "s" if cores != 1 else ""
    return Machine(f"this machine's {cores} CPU core{plural}", cores, seconds)


@functools.cache
def _flops_per_sec(dtype: tf.DType) -> float:
    """Measures the shortest matrix product. Other programs on the machine hardly affect it.

    Processor time over cores is the wall time of a machine on which nothing else runs.
    """
    with tf.device("CPU:0"):
        matrix = tf.ones([_MATRIX_SIDE, _MATRIX_SIDE], dtype)

        def multiply() -> None:
            for _ in range(_PRODUCTS):
                tf.linalg.matmul(matrix, matrix)

        multiply()
        best, end = math.inf, time.process_time() + _MEASURING_SEC
        while time.process_time() < end:
            best = min(best, _processor_seconds(multiply))
    return _PRODUCTS * 2 * _MATRIX_SIDE**3 / best * default_num_workers()


def _processor_seconds(function: Callable[[], None]) -> float:
    started = time.process_time()
    function()
    return max(time.process_time() - started, 1e-6)  # Some clocks are coarse.


def seconds(config: RunConfig, machine: Machine) -> float:
    """Estimates the time of a whole run without metrics."""
    replicas, total, begin = config.schedule.num_gpus, _START_SEC, 0.0
    for end, state in config.schedule.stages(config.training.total_kimg):
        iterations = (end - begin) * 1000 / (state.minibatch * config.training.D_repeats)
        if machine.num_cores is None:
            cost = iteration_cost(config, state, None)
        else:  # The replicas share the cores.
            cost = replicas * iteration_cost(config, state, max(machine.num_cores // replicas, 1))
        total += iterations * cost * machine.sec_per_cost
        total += _SEC_PER_COMPILATION * compilation_cost(state)
        begin = end
    return total


def num_parameters(config: GeneratorConfig | DiscriminatorConfig) -> int:
    """Counts the trained values of a network, by its options alone."""
    shapes = weight_shapes(config).items()
    # "scale" is the constant of wscale_constant="rms".
    return sum(math.prod(shape) for name, shape in shapes if not name.endswith("/scale"))


def memory(config: RunConfig, on_cpu: bool) -> tuple[float, ScheduleState]:
    """Estimates the peak memory of a device in bytes, and says at which stage it is reached."""
    G, D = num_parameters(config.G), num_parameters(config.D)
    weights = 4 * (4 * G + 3 * D)  # G, D, Gs and two moments of each weight of G and D
    schedule = config.schedule

    def tensors(state: ScheduleState) -> float:
        held = state.minibatch / schedule.num_gpus / schedule.grad_accumulation
        return weights + 4 * held * _values_per_image(config.D, state.resolution)

    states = [state for _, state in schedule.stages(config.training.total_kimg)]
    largest = max(states, key=tensors)
    num_bytes = _MEMORY_RATIO * tensors(largest)
    replicas = schedule.num_gpus if on_cpu else 1
    return num_bytes * replicas + (_PROCESS_BYTES if on_cpu else 0), largest


def _values_per_image(D: DiscriminatorConfig, resolution: int) -> float:
    """Counts what the gradient of the gradient penalty keeps: outputs twice, and means once."""
    last, size_at = resolution.bit_length() - 1, D.base.size_at
    outputs = D.nf(last - 1) * math.prod(size_at(last)) + D.nf(1) * D.base.area + D.nf(0)
    means = 0
    for res in range(last, 2, -1):
        height, width = size_at(res)
        outputs += D.nf(res - 1) * height * width + D.nf(res - 2) * math.prod(size_at(res - 1))
        means += D.nf(res - 1) * (height + 1) * (width + 1)
    return 2 * outputs + means


class Disk(NamedTuple):
    """Bytes that a run folder takes at most."""

    num_snapshots: int
    snapshot_bytes: float  # of each: G, D and Gs
    checkpoints_bytes: float  # of all, the one that is being written included
    pictures_bytes: float

    @property
    def total(self) -> float:
        """Sum of all files."""
        snapshots = self.num_snapshots * self.snapshot_bytes
        return snapshots + self.checkpoints_bytes + self.pictures_bytes


def disk(config: RunConfig) -> Disk:
    """Estimates the disk space of a run."""
    G, D = num_parameters(config.G), num_parameters(config.D)
    ticks = begin = 0.0
    for end, state in config.schedule.stages(config.training.total_kimg):
        ticks += (end - begin) / state.tick_kimg
        begin = end
    num_snapshots = 2 + int(ticks / config.training.network_snapshot_ticks)  # first and last
    checkpoint_bytes = 4 * (4 * G + 3 * D)
    return Disk(
        num_snapshots,
        4 * (2 * G + D),
        (checkpoints.KEPT + 1) * checkpoint_bytes,
        pictures.plan(config).num_bytes,
    )


def lines(config: RunConfig, machine: Machine) -> list[str]:
    """Describes a run in one line each: networks, memory, disk space, time."""
    on_cpu = machine.num_cores is not None
    num_bytes, state = memory(config, on_cpu)
    where_at, space = config.G.base.size_text(state.resolution), disk(config)
    where = "this process" if on_cpu else "each GPU"
    caveat = (
        f"if nothing else runs there, to a factor of {FACTOR:g}"
        if on_cpu
        else "others differ, and several at once are unmeasured"
    )
    return [
        f"Networks: G has {num_parameters(config.G):,} parameters, D {num_parameters(config.D):,}",
        f"Memory: about {num_bytes / 2**30:.1f} GiB in {where}, at {where_at} with a minibatch "
        f"of {state.minibatch}" + ("" if on_cpu else "; more with fp32"),
        f"Disk: at most {size(space.total)}: {space.num_snapshots} snapshots of "
        f"{size(space.snapshot_bytes)}, checkpoints {size(space.checkpoints_bytes)}, pictures "
        f"{size(space.pictures_bytes)}",
        f"Time: about {duration(seconds(config, machine))} on {machine.name} (estimated; {caveat}; "
        "--probe measures every stage)",
    ]


def size(num_bytes: float) -> str:
    """Formats bytes as kB, MB, GB or TB, with two or three digits."""
    unit = 0
    while num_bytes >= 999.5 and unit < 4:
        num_bytes, unit = num_bytes / 1000, unit + 1
    digits = 1 if unit and num_bytes < 9.95 else 0
    return f"{num_bytes:.{digits}f} {('bytes', 'kB', 'MB', 'GB', 'TB')[unit]}"


def duration(sec: float) -> str:
    """Formats a time in its largest unit: "8 minutes", "2.9 days", "4.2 years"."""
    day = 86400.0
    units = [(1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (day, "days")]
    units += [(30.4 * day, "months"), (365.25 * day, "years")]
    length, name = max((unit for unit in units if sec >= 1.5 * unit[0]), default=units[0])
    number = sec / length
    return f"{number:.{0 if number >= 9.95 or length < 3600 else 1}f} {name}"
