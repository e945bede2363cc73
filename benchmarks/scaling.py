"""Images a second over replicas: python -m benchmarks.scaling --replicas=1,2,4,8

Trains the networks of a preset on random images, in a process of its own for each number of
replicas: on GPUs where there are any, else on logical devices of one CPU. One JSON line each, with
`efficiency`, the rate over the rate that could be hoped for:

- GPUs: N times that of one GPU with the same minibatch per GPU.
- Logical CPUs share the same cores: that of one replica with the same global minibatch.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np

from pgtf.commands.parsers import Parser

NUM_IMAGES = 256


def write_dataset(folder, resolution, num_images=NUM_IMAGES, grid=(4, 4)):
    """Writes random images and all their levels."""
    from pgtf.dataset.tfrecords import to_records

    size = [resolution // 4 * side for side in grid]
    images = np.random.default_rng(0).integers(0, 256, (num_images, 3, *size), np.uint8)
    if tuple(grid) != (4, 4):
        (folder / "dataset.json").write_text(json.dumps({"grid": grid}))
    for log2 in range(2, resolution.bit_length()):
        step = resolution >> log2
        level = np.ascontiguousarray(images[..., ::step, ::step])
        (folder / f"noise-r{log2:02d}.tfrecords").write_bytes(to_records(level).tobytes())


def measure(replicas, minibatch, on_gpus, preset, all_reduce, folder, seconds):
    """Images a second of whole iterations (D, Gs and G) at the resolution of the dataset."""
    from pgtf.config import PRESETS
    from pgtf.dataset import open_dataset
    from pgtf.distribution.strategy import describe_devices, make_strategy
    from pgtf.training import plan
    from pgtf.training.state import TrainingState
    from pgtf.training.stepper import Stepper

    devices = (replicas, 0) if on_gpus else (0, replicas)
    strategy = make_strategy(*devices, all_reduce if replicas > 1 else "auto")
    dataset = open_dataset(folder)
    changes = {
        "schedule.lod_initial_resolution": dataset.resolution,
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": 0,
        "schedule.minibatch_base": minibatch,
        "schedule.minibatch_dict": {},
        "schedule.max_minibatch_per_gpu": {},
    }
    config = PRESETS[preset].replace(changes).for_dataset(dataset.resolution_log2, 3, 0, replicas)
    config.check()
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    call = plan.next_call(config.schedule, config.training, 0, 0)
    stepper.run(call)  # traces
    num_images, start = 0, time.perf_counter()
    while num_images == 0 or time.perf_counter() - start < seconds:
        call = plan.next_call(config.schedule, config.training, call.end_nimg, call.end_nimg)
        stepper.run(call)
        num_images += len(call.nimgs) * minibatch
    rate = num_images / (time.perf_counter() - start)
    return {"images_per_sec": rate, "devices": describe_devices(strategy)}


def in_process(*arguments):
    """`measure` in a fresh process: its devices can be chosen only once."""
    command = [sys.executable, "-m", "benchmarks.scaling", f"--measure={json.dumps(arguments)}"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)


def num_gpus():
    """GPUs of this machine; asked in a process of its own, which leaves them free."""
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", default="1,2,4,8", help="how many (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=32, help="pixels (default: %(default)s)")
    parser.add_argument(
        "--minibatch", type=int, default=4, help="of a replica (default: %(default)s)"
    )
    parser.add_argument("--preset", default="demo", help="of the networks (default: %(default)s)")
    parser.add_argument(
        "--all_reduce", default="auto", help="as of train.py (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=10, help="timed (default: %(default)s)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*json.loads(args.measure))))
        return
    gpus = num_gpus()
    counts = [int(text) for text in args.replicas.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(pathlib.Path(folder), args.resolution)
        options = (gpus > 0, args.preset, args.all_reduce, folder, args.seconds)
        for count in [count for count in counts if not gpus or count <= gpus]:
            minibatch = count * args.minibatch
            row = {"replicas": count, "minibatch": minibatch, "resolution": args.resolution}
            row |= in_process(count, minibatch, *options)
            if count == 1:
                hoped = row["images_per_sec"]
            elif gpus:
                hoped = in_process(1, args.minibatch, *options)["images_per_sec"] * count
            else:
                hoped = in_process(1, minibatch, *options)["images_per_sec"]
            row |= {"efficiency": row["images_per_sec"] / hoped, "machine": platform.platform()}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
