"""create_from_images against the plain way: python -m benchmarks.data --yardstick=PATH

Draws PNG files with the entropy of photographs, then makes datasets of them, ours and the
yardstick's in turn, each in a fresh process: on one core, then ours on two. The yardstick is a
program that takes PNG_FOLDER and OUT_FOLDER and prints a JSON line with img_per_sec and
cpu_sec_per_image. One JSON line a run, then one with the ratios of the medians.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import PIL.Image
from tqdm import tqdm

from pgtf.commands.parsers import Parser

GRAIN = 1.5  # standard deviation of the noise of a sensor, gray levels
CONTRAST = 55.0  # standard deviation of the picture
SLOPE = 1.55  # amplitudes fall as 1 / frequency^SLOPE: 1 in nature, more behind a lens
DISTINCT = 400  # pictures
POLL_SECONDS = 0.2  # not more often: polling takes time from two busy cores


def draw_photograph(random, resolution):
    """Noise with the spectrum of a photograph, mostly gray, and some grain: [R, R, 3]."""
    frequencies = np.hypot(*np.meshgrid(*[np.fft.fftfreq(resolution)] * 2))
    frequencies[0, 0] = np.inf
    white = np.fft.fft2(random.standard_normal((3, resolution, resolution)))
    planes = np.fft.ifft2(white / frequencies**SLOPE).real
    planes /= planes.std(axis=(1, 2), keepdims=True)
    gray, *colors = planes
    tints = [0.25 * colors[0], -0.1 * (colors[0] + colors[1]), 0.25 * colors[1]]
    grain = random.standard_normal((resolution, resolution, 3))
    image = 128 + CONTRAST * (gray[:, :, None] + np.stack(tints, axis=2)) + GRAIN * grain
    return image.clip(0, 255).astype(np.uint8)


def make_pictures(folder, num_images, resolution):
    """Writes PNG files, DISTINCT of them drawn, the others links; returns bits per color value."""
    random = np.random.default_rng(0)
    num_bytes = 0
    for i in tqdm(range(num_images), desc="Drawing", unit="img"):
        path = folder / f"{i:06d}.png"
        if i < DISTINCT:
            PIL.Image.fromarray(draw_photograph(random, resolution)).save(path)
        else:
            path.hardlink_to(folder / f"{i % DISTINCT:06d}.png")
        num_bytes += path.stat().st_size
    return 8 * num_bytes / (num_images * resolution**2 * 3)


def measure(pictures, target, num_workers):
    """Makes a dataset with our tool; prints what it took."""
    from pgtf.dataset.exporter import Options
    from pgtf.dataset.sources import images

    summary = images.create(str(target), str(pictures), options=Options(num_workers))
    times = os.times()
    cpu = times.user + times.system + times.children_user + times.children_system
    row = {
        "img_per_sec": summary.num_images / summary.seconds,
        "cpu_sec_per_image": cpu / summary.num_images,
    }
    print(json.dumps(row))


def run(command, num_cores):
    """Runs a program on so many cores: -> its JSON line, with the peak memory of its processes."""
    cores = sorted(os.sched_getaffinity(0))[:num_cores]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    peak = [0.0]

    def poll():
        while process.poll() is None:
            peak[0] = max(peak[0], tree_memory(process.pid))
            time.sleep(POLL_SECONDS)

    watcher = threading.Thread(target=poll)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return json.loads(output.splitlines()[-1]) | {"peak_rss_mib": round(peak[0])}


def tree_memory(root):
    """Peaks of the resident memory of a process and its descendants, added up, MiB."""
    memory, pending = 0.0, [str(root)]
    while pending:
        process = pathlib.Path("/proc") / pending.pop()
        try:
            status = (process / "status").read_text()
            memory += int(status.split("VmHWM:")[1].split(maxsplit=1)[0]) / 1024
            for thread in process.glob("task/*/children"):
                pending += thread.read_text().split()
        except (OSError, IndexError):  # it has ended
            continue
    return memory


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--yardstick", help="program to compare with (default: none)")
    parser.add_argument("--images", type=int, default=6000, help="(default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=256, help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        pictures, target, num_workers = args.measure
        return measure(pictures, target, int(num_workers))
    with tempfile.TemporaryDirectory() as temporary:
        compare(pathlib.Path(temporary), args)


def compare(folder, args):
    """Runs everything in turn and prints it."""
    pictures = folder / "pictures"
    pictures.mkdir()
    bits = make_pictures(pictures, args.images, args.resolution)
    facts = {"images": args.images, "resolution": args.resolution, "bits_per_value": round(bits, 2)}
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    print(json.dumps(facts | versions | {"pillow": PIL.__version__}), flush=True)
    target = folder / "out"
    ours = [sys.executable, "-m", "benchmarks.data", "--measure", str(pictures), str(target)]
    programs = {"ours, 1 core": (ours + ["1"], 1), "ours, 2 cores": (ours + ["2"], 2)}
    if args.yardstick:
        plain = [sys.executable, args.yardstick, str(pictures), str(target)]
        programs = {"yardstick, 1 core": (plain, 1)} | programs
    rates = {name: [] for name in programs}
    for _ in range(args.repeats):
        for name, (command, num_cores) in programs.items():
            row = run(command, num_cores)
            rates[name].append(row["img_per_sec"])
            print(json.dumps({"program": name} | row), flush=True)
            for path in target.iterdir():
                path.unlink()
            target.rmdir()
    rate = {name: statistics.median(values) for name, values in rates.items()}
    result = {"efficiency_2_cores": rate["ours, 2 cores"] / rate["ours, 1 core"] / 2}
    if args.yardstick:
        result["ratio_1_core"] = rate["ours, 1 core"] / rate["yardstick, 1 core"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
