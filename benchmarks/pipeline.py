"""Input pipeline against training: python -m benchmarks.pipeline --gib=2

Makes a synthetic dataset of noise, then measures in a process of its own for each resolution how
many images a second the pipeline delivers, its peak resident memory with TensorFlow in it, and how
many the networks of the preset `v2-1gpu` use up. One JSON line a resolution.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from pgtf.commands.parsers import Parser

RESOLUTIONS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
CHUNK_IMAGES = 8


def make_dataset(folder, gib):
    """Writes about `gib` GiB of random 1024x1024 RGB images with all their levels."""
    from pgtf.dataset.tfrecords import to_records

    top = RESOLUTIONS[-1].bit_length() - 1
    num_chunks = int(gib * 2**30 * 3 / 4 / (3 * 4**top)) // CHUNK_IMAGES
    rng = np.random.default_rng(0)
    folder.mkdir()
    files = {r: open(folder / f"noise-r{r:02d}.tfrecords", "wb") for r in range(2, top + 1)}
    for _ in range(num_chunks):
        images = rng.integers(0, 256, (CHUNK_IMAGES, 3, 2**top, 2**top), np.uint8)
        for log2, file in files.items():
            step = 2 ** (top - log2)
            level = np.ascontiguousarray(images[:, :, ::step, ::step])
            file.write(to_records(level).tobytes())
    for file in files.values():
        file.close()


def measure_pipeline(folder, resolution, seconds=5.0):
    """Images a second of raw batches, labels included, and the peak memory in MiB."""
    from pgtf.config import PRESETS
    from pgtf.dataset import open_dataset, pipeline

    dataset = open_dataset(folder)
    minibatch = PRESETS["v2-1gpu"].schedule.minibatch(resolution)
    log2 = resolution.bit_length() - 1
    iterator = iter(
        pipeline.batches(dataset, resolution_log2=log2, minibatch=minibatch, seed=0, position=0)
    )
    next(iterator)
    num, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(iterator)
        num += minibatch
    rate = num / (time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"pipeline_images_per_sec": rate, "peak_rss_mib": round(peak)}


def measure_training(folder, resolution):
    """Images a second of training iterations (one D and one G update) on the full networks."""
    import tensorflow as tf

    from pgtf.config import PRESETS
    from pgtf.dataset import open_dataset
    from pgtf.training import plan
    from pgtf.training.state import TrainingState
    from pgtf.training.stepper import Stepper

    dataset = open_dataset(folder)
    config = PRESETS["v2-1gpu"].replace(
        {
            "schedule.lod_initial_resolution": resolution,
            "schedule.lod_training_kimg": 0,
            "schedule.lod_transition_kimg": 0,
            "training.minibatch_repeats": 1,
            "dataset.resolution": resolution,
        }
    )
    dataset = open_dataset(folder, resolution=resolution)
    config = config.for_dataset(dataset.resolution_log2, 3, 0, 1)
    strategy = tf.distribute.get_strategy()
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    call = plan.next_call(config.schedule, config.training, 0, 0)
    stepper.run(call)
    num, start = 0, time.perf_counter()
    while num == 0 or time.perf_counter() - start < 5:
        call = plan.next_call(config.schedule, config.training, call.end_nimg, 0)
        stepper.run(call)
        num += len(call.nimgs) * call.now.minibatch
    return {"training_images_per_sec": num / (time.perf_counter() - start)}


def in_process(measure, folder, resolution):
    """Runs one measurement in a fresh process, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.pipeline", f"--measure={measure}"]
    command += [f"--dataset={folder}", f"--resolutions={resolution}"]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(run.stdout)


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=2, help="size of the dataset (default: 2)")
    parser.add_argument("--resolutions", default=",".join(map(str, RESOLUTIONS)))
    parser.add_argument("--dataset", type=pathlib.Path, help="use this one (default: make one)")
    parser.add_argument("--measure", choices=["pipeline", "training"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    resolutions = [int(text) for text in args.resolutions.split(",")]
    if args.measure:
        measure = {"pipeline": measure_pipeline, "training": measure_training}[args.measure]
        print(json.dumps(measure(args.dataset, resolutions[0])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.dataset or pathlib.Path(temporary) / "noise"
        if args.dataset is None:
            make_dataset(folder, args.gib)
        for resolution in resolutions:
            row = {"resolution": resolution}
            for measure in ("pipeline", "training"):
                row |= in_process(measure, folder, resolution)
            row["ratio"] = row["pipeline_images_per_sec"] / row["training_images_per_sec"]
            print(json.dumps({k: round(v, 2) for k, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
