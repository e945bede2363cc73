"""Compares our SWD with a plain implementation: python -m benchmarks.swd --yardstick=PATH

Measures CPU seconds of one core for two sets of random RGB images, ours and the yardstick in turn,
each in a fresh process with one thread. The yardstick is a program that takes RESOLUTION and IMAGES
and prints a JSON line with cpu_describe (pyramid and descriptors) and cpu_total. Prints one JSON
line per case, with the ratio of the medians.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

from pgtf.commands import fast_sort
from pgtf.commands.parsers import Parser
from pgtf.metrics.descriptors import Descriptors
from pgtf.metrics.swd import sliced_wasserstein

CASES = "64x1024,256x256"
MINIBATCH = 64
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure(resolution, num_images):
    """Measures CPU seconds for the descriptors of two sets, and for the whole distance."""
    rng = np.random.RandomState(0)
    shape = (num_images, 3, resolution, resolution)  # order of a dataset's records
    reals, fakes = (rng.randint(0, 256, shape).astype(np.uint8) for _ in range(2))
    reals, fakes = (images.transpose(0, 2, 3, 1) for images in (reals, fakes))
    t0 = time.process_time()
    described = [describe(images, rng) for images in (reals, fakes)]
    t1 = time.process_time()
    values = [1e3 * sliced_wasserstein(a, b, rng) for a, b in zip(*described, strict=True)]
    t2 = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "cpu_describe": t1 - t0,
        "cpu_total": t2 - t0,
        "values": values,
        "peak_rss_mib": round(peak),
    }


def describe(images, rng):
    """Computes descriptors of uint8 [N, H, W, C] and their moments, level by level."""
    descriptors = Descriptors(len(images), images.shape[1:])
    for start in range(0, len(images), MINIBATCH):
        descriptors.feed(images[start : start + MINIBATCH], rng)
    for level in descriptors.levels:
        level.moments  # noqa: B018 (computed on first use)
    return descriptors.levels


def run(command, **more):
    """Runs a program that prints one JSON line, on one thread."""
    environment = os.environ | dict.fromkeys(ONE_THREAD, "1") | more
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)


def compare(yardstick, resolution, num_images, repeats):
    """Runs both in turn. Returns the medians and their ratios."""
    numbers = [str(resolution), str(num_images)]
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(run([sys.executable, yardstick, *numbers]))
        command = [sys.executable, "-m", "benchmarks.swd", "--measure", *numbers]
        ours.append(run(command, **fast_sort.settings()))  # the environment of python -m metrics
    row = {"resolution": resolution, "images": num_images, "repeats": repeats}
    for part in ("describe", "total"):
        mine, plain = (statistics.median(x[f"cpu_{part}"] for x in runs) for runs in (ours, theirs))
        row |= {f"{part}_sec": mine, f"{part}_yardstick_sec": plain, f"{part}_ratio": plain / mine}
    return row | {"peak_rss_mib": max(x["peak_rss_mib"] for x in ours)}


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--yardstick", help="path of the program to compare with")
    parser.add_argument("--cases", default=CASES, help="RESOLUTIONxIMAGES (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of each program (default: %(default)s)"
    )
    parser.add_argument("--measure", nargs=2, type=int, metavar=("RES", "IMAGES"))
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.measure)))
        return
    if args.yardstick is None:
        parser.error("--yardstick=PATH is needed")
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for case in args.cases.split(","):
        row = compare(args.yardstick, *map(int, case.split("x")), args.repeats)
        row = {k: round(v, 2) for k, v in row.items()}
        print(json.dumps(row | versions), flush=True)


if __name__ == "__main__":
    main()
