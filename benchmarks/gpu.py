"""Everything about one GPU in one command: python -m benchmarks.gpu --precision=bf16

For each stage of `v2-1gpu`: seconds per kimg compiled and op by op, the seconds until the first
iteration is done, peak memory, and images a second of the input alone; then the generator's images
a second, and the projected time of the whole schedule. Each measurement is a process of its own and
prints one JSON line. The largest stages come first, and --minutes is what all may take together:
what does not fit is missing, and the projection then says so.

With --networks=tiny it runs anywhere, to see that it does.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from benchmarks.gpu_program import KIMG, STAGES
from pgtf.commands.parsers import Parser

# fmap_max of both networks, their resolution, the generator's minibatch.
NETWORKS = {"paper": (512, 1024, 8), "tiny": (8, 16, 2)}
NUM_IMAGES = 16  # of the data, noise


def training_row(folder, resolution, minibatch, options):
    """Seconds per kimg of whole iterations, and what the first call took."""
    from benchmarks.scaling import write_dataset
    from benchmarks.training import Seconds, seconds_per_iteration
    from pgtf.config import PRESETS
    from pgtf.dataset import open_dataset
    from pgtf.distribution.strategy import make_strategy
    from pgtf.training import memory, precision
    from pgtf.training.state import TrainingState
    from pgtf.training.stepper import Stepper

    strategy = make_strategy()
    precision.configure(options["precision"])
    fmap_max, full, _ = NETWORKS[options["networks"]]
    write_dataset(folder, resolution, NUM_IMAGES)
    changes = {
        "G.fmap_max": fmap_max,
        "D.fmap_max": fmap_max,
        "schedule.lod_initial_resolution": resolution,
        "schedule.minibatch_base": minibatch,
        "schedule.minibatch_dict": {},
        "schedule.max_minibatch_per_gpu": {},
        "training.precision": options["precision"],
        "training.jit": options["jit"],
    }
    config = PRESETS["v2-1gpu"].replace(changes).for_dataset(full.bit_length() - 1, 3, 0, 1)
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, open_dataset(folder), strategy)
    found: Seconds = seconds_per_iteration(config, stepper, False, options["iterations"])
    return {
        "sec_per_kimg": found.median / minibatch * 1000,
        "first_call_sec": found.first_call,
        "peak_gib": memory.peak_gib(),
    }


def input_row(folder, resolution, minibatch, options):
    """Images a second of the input alone, and its CPU milliseconds per image."""
    from benchmarks.scaling import write_dataset
    from pgtf import ops
    from pgtf.dataset import open_dataset, pipeline

    write_dataset(folder, resolution, NUM_IMAGES)
    level = {"resolution_log2": resolution.bit_length() - 1, "minibatch": minibatch, "seed": 0}
    batches = pipeline.batches(open_dataset(folder), **level, channels_first=ops.has_gpu())
    iterator, count = iter(batches), 0
    next(iterator)
    begun, spent = time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < options["seconds"] or not count:
        next(iterator)
        count += minibatch
    seconds, processor = time.perf_counter() - begun, time.process_time() - spent
    return {"images_per_sec": count / seconds, "cpu_ms_per_image": processor / count * 1e3}


def generation_row(_, resolution, minibatch, options):
    """Images a second of the generator, copied to the host."""
    import numpy as np

    from benchmarks.machine import best_seconds
    from pgtf.networks import Generator

    fmap_max, full, _ = NETWORKS[options["networks"]]
    G = Generator(resolution=full, num_channels=3, fmap_max=fmap_max)
    latents = np.random.default_rng(0).normal(size=[minibatch, G.latent_size]).astype(np.float32)
    call = lambda: G.run(latents, minibatch_size=minibatch)  # noqa: E731
    return {"images_per_sec": minibatch / best_seconds(call, min_seconds=options["seconds"])}


ROWS = {"training": training_row, "input": input_row, "generation": generation_row}


def versions():
    """Machine, versions and commit."""
    import platform

    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    build = tf.sysconfig.get_build_info()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {
        "gpus": names,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "cuda": build.get("cuda_version"),
        "cudnn": build.get("cudnn_version"),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def in_process(kind, resolution, minibatch, options, seconds):
    """A row measured in a fresh process; `error` in place of its values if it fails or is late."""
    row = {"measured": kind, "resolution": resolution, "minibatch": minibatch}
    row |= {name: options[name] for name in ("precision", "jit") if kind == "training"}
    command = [sys.executable, "-m", "benchmarks.gpu"]
    command += [f"--measure={json.dumps([kind, resolution, minibatch, options])}"]
    if seconds <= 0:
        return row | {"error": "no time is left"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return row | {"error": f"not done in {seconds:.0f} s"}
    if done.returncode:
        return row | {"error": (done.stderr.strip().splitlines() or ["failed"])[-1][:300]}
    return row | json.loads(done.stdout.splitlines()[-1])


def projected(rows):
    """One line on the hours of the 12,000 kimg of `v2-1gpu`, with the better of both forms."""
    best = {}
    for row in rows:
        if row["measured"] == "training" and "error" not in row:
            size = row["resolution"]
            best[size] = min(row["sec_per_kimg"], best.get(size, float("inf")))
    missing = [s for s in STAGES.split(",") if int(s.split(":")[0]) not in best]
    total = sum(KIMG.get(size, 1200) * seconds for size, seconds in best.items()) / 3600
    line = f"projected: {total:.2f} h of training"
    return line + (f", without the stages {' '.join(missing)}" if missing else " for 12,000 kimg")


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default=STAGES, help="(default: %(default)s)")
    parser.add_argument("--precision", default="bf16", help="as of train.py (default: %(default)s)")
    parser.add_argument("--jit", default="on,off", help="(default: %(default)s)")
    parser.add_argument("--networks", choices=NETWORKS, default="paper", help="(default: paper)")
    parser.add_argument("--iterations", type=int, default=10, help="timed (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of others (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10, help="for all (default: %(default)s)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        kind, resolution, minibatch, options = json.loads(args.measure)
        with tempfile.TemporaryDirectory() as folder:
            row = ROWS[kind](pathlib.Path(folder), resolution, minibatch, options)
        print(json.dumps(row))
        return
    end = time.monotonic() + args.minutes * 60
    options = {name: getattr(args, name) for name in ("precision", "networks", "iterations")}
    options["seconds"] = args.seconds
    print(json.dumps(versions()), flush=True)
    stages = [tuple(map(int, stage.split(":"))) for stage in args.stages.split(",")][::-1]
    _, full, minibatch = NETWORKS[args.networks]
    # Compiled iterations first: they are what trains.
    todo = [("training", *stage, jit) for jit in args.jit.split(",") for stage in stages]
    todo[len(stages) : len(stages)] = [("generation", full, minibatch, "off")]
    todo[len(stages) : len(stages)] = [("input", *stage, "off") for stage in stages]
    rows = []
    for kind, *stage, jit in todo:
        left = end - time.monotonic()
        rows.append(in_process(kind, *stage, options | {"jit": jit}, left))
        print(json.dumps(rows[-1]), flush=True)
    print(projected(rows))


if __name__ == "__main__":
    main()
