"""Time of training iterations: python -m benchmarks.training --stages=16:16,128:4

One D and one G update of the paper's full-size networks (WGAN-GP, moving average, Adam), images in
memory, stabilized and in the middle of a fade. Each stage runs in a process of its own and prints
one JSON line; `peak_fraction` is the fused FLOPs of the iteration over its time and the best of the
matrix product and the 3x3 convolution measured in the same process; `kernel_ratio` the shortest
iteration, before or after them, over the sum of all layers and directions, each the shortest time
alone in its fastest form; `peak_gib` the resident memory of the process, `tensors_gib` the most
that tensors took, and `memory_ratio` this over what an iteration cannot do without
(flops.needed_bytes).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing

from pgtf.commands.parsers import Parser

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

FULL_RESOLUTION = 1024  # the networks', at every stage
STAGES = "4:64,8:64,16:16,32:16,64:8,128:4,256:2"
NUM_IMAGES = 8


def make_stepper(folder, resolution, minibatch, precision, jit, grid="4x4"):
    """Networks at full size, and the dataset of one stage: -> Config, Stepper."""
    from benchmarks.scaling import write_dataset
    from pgtf.config import PRESETS
    from pgtf.dataset import open_dataset
    from pgtf.distribution.strategy import make_strategy
    from pgtf.grids import Grid
    from pgtf.training.state import TrainingState
    from pgtf.training.stepper import Stepper

    strategy = make_strategy()
    base = Grid.parse(grid)
    write_dataset(folder, resolution, NUM_IMAGES, (base.height, base.width))
    changes = {
        "schedule.lod_initial_resolution": resolution,
        "schedule.minibatch_base": minibatch,
        "schedule.minibatch_dict": {},
        "schedule.max_minibatch_per_gpu": {},
        "training.precision": precision,
        "training.jit": jit,
    }
    config = PRESETS["v2-1gpu"].replace(changes)
    config = config.for_dataset(FULL_RESOLUTION.bit_length() - 1, 3, 0, 1, grid=grid)
    return config, Stepper(TrainingState(config, strategy), config, open_dataset(folder), strategy)


class Seconds(typing.NamedTuple):
    """Seconds per iteration, and of the first call, which traces."""

    median: float
    shortest: float
    processor: float  # median
    first_call: float


def seconds_per_iteration(config, stepper, fading, num_iterations):
    """Times `num_iterations`, several of them in a call as training does: -> Seconds."""
    from pgtf.training import plan

    first = plan.next_call(config.schedule, config.training, 0, 0)
    # As many in a call as training has, at most.
    count = min(len(first.nimgs), num_iterations) if first.now.resolution <= 8 else 1
    alphas = [0.5 if fading else 1.0] * count
    numbers = (alphas, first.G_lrates[:count], first.D_lrates[:count])
    seconds, processor, nimg = [], [], 0
    for _ in range(1 + -(-num_iterations // count)):
        nimgs = [nimg + k * first.now.minibatch for k in range(count)]
        nimg = nimgs[-1] + first.now.minibatch
        started, spent = time.perf_counter(), time.process_time()
        stepper.run(plan.Call(first.now, nimgs, *numbers, nimg))
        seconds.append((time.perf_counter() - started) / count)
        processor.append((time.process_time() - spent) / count)
    median, processor = (statistics.median(values[1:]) for values in (seconds, processor))
    return Seconds(median, min(seconds[1:]), processor, seconds[0] * count)


def time_of(config, stepper, minibatch, fading, args):
    """Fields of the JSON line about time, stabilized or in the middle of a fade."""
    from benchmarks.flops import iteration_flops

    seconds = seconds_per_iteration(config, stepper, fading, args.iterations)
    work = {"fading": fading, "area": config.G.base.area}
    flops = iteration_flops(config.schedule.initial_resolution, minibatch, **work)
    row = {
        "sec_per_iter": seconds.median,
        "shortest_sec_per_iter": seconds.shortest,
        "cpu_sec_per_iter": seconds.processor,
        "img_per_sec": minibatch / seconds.median,
        "gflop": flops / 1e9,
        "gflops": flops / seconds.median / 1e9,
        "first_call_sec": seconds.first_call,
    }
    return _named(row, fading)


def _named(row, fading):
    return {f"{name}_fading": value for name, value in row.items()} if fading else row


def memory_of(resolution, minibatch, fading, area):
    """Fields about memory since `memory.forget_peak`."""
    import tensorflow as tf

    from benchmarks.flops import iteration_work, needed_bytes
    from pgtf.training import memory

    held = iteration_work(FULL_RESOLUTION, area=area)
    work = iteration_work(resolution, fading=fading, area=area)
    needed = needed_bytes(work, minibatch, held) / 2**30
    device = tf.config.list_logical_devices()[-1].name  # the GPU if there is one
    tensors = tf.config.experimental.get_memory_info(device)["peak"] / 2**30
    row = {"peak_gib": memory.peak_gib(), "tensors_gib": tensors, "needed_gib": needed}
    row["memory_ratio"] = tensors / needed
    return _named(row, fading)


def kernel_ratio_of(made, minibatch, shortest, args):
    """Fields about the sum of the fastest kernels, next to iterations before and after them.

    What a shared machine can do changes within minutes, and its best is what does not.
    """
    from benchmarks.flops import iteration_work
    from benchmarks.kernels import fastest_sum

    dtype = _dtype(args.precision)
    area = made[0].G.base.area
    work = iteration_work(made[0].schedule.initial_resolution, area=area)
    total = fastest_sum(work, minibatch, dtype)
    again = seconds_per_iteration(*made, False, args.iterations)
    return {"kernel_sum_sec": total, "kernel_ratio": min(shortest, again.shortest) / total}


def measure(resolution, minibatch, args):
    """One stage, in this process: -> the fields of its JSON line."""
    from benchmarks.machine import peak_gflops
    from pgtf.training import memory

    row = {"resolution": resolution, "minibatch": minibatch, "precision": args.precision}
    row |= {"jit": args.jit, "grid": args.grid}
    with tempfile.TemporaryDirectory() as folder:
        options = (args.precision, args.jit, args.grid)
        made = make_stepper(pathlib.Path(folder), resolution, minibatch, *options)
        for fading in (False, True) if args.fading and resolution > 4 else (False,):
            memory.forget_peak()
            row |= time_of(*made, minibatch, fading, args)
            row |= memory_of(resolution, minibatch, fading, made[0].G.base.area)
        rates = peak_gflops(_dtype(args.precision))
        row |= {f"{name}_gflops": rate for name, rate in rates.items()}
        row["peak_fraction"] = row["gflops"] / max(rates.values())
        if args.kernels:
            row |= kernel_ratio_of(made, minibatch, row["shortest_sec_per_iter"], args)
    return row


def _dtype(precision):
    import tensorflow as tf

    return {"bf16": tf.bfloat16, "fp16": tf.float16}.get(precision, tf.float32)


def in_process(command):
    """The last line that a program prints, as JSON."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def parse_stages(text):
    """ "16:16,32:8" -> [(16, 16), (32, 8)]: resolution and minibatch."""
    return [tuple(map(int, stage.split(":"))) for stage in text.split(",")]


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default=STAGES, help="(default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=5, help="timed (default: %(default)s)")
    parser.add_argument("--precision", default="fp32", help="as of train.py (default: %(default)s)")
    parser.add_argument("--jit", default="off", help="as of train.py (default: %(default)s)")
    parser.add_argument("--grid", default="4x4", help="base grid (default: %(default)s)")
    parser.add_argument("--fading", action="store_true", help="measure in the middle of a fade too")
    parser.add_argument(
        "--kernels", action="store_true", help="add up the fastest kernel of every layer too"
    )
    parser.add_argument("--yardstick", help="program to compare with (default: none)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kernels and args.grid != "4x4":
        parser.error("--kernels knows squares only.")
    stages = parse_stages(args.stages)
    if args.measure:
        print(json.dumps(measure(*stages[0], args)))
        return
    for resolution, minibatch in stages:
        stage = f"--stages={resolution}:{minibatch}"
        ours = [sys.executable, "-m", "benchmarks.training", "--measure", *sys.argv[1:], stage]
        row = in_process(ours)
        if args.yardstick:
            numbers = {"res": resolution, "batch": minibatch, "iters": args.iterations}
            plain = [sys.executable, args.yardstick, *(f"--{k}={v}" for k, v in numbers.items())]
            row["yardstick_sec_per_iter"] = in_process(plain)["sec_per_iter"]
            row["ratio"] = row["yardstick_sec_per_iter"] / row["sec_per_iter"]
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
