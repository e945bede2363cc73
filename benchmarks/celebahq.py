"""CelebA-HQ, step by step: python -m benchmarks.celebahq --yardstick=FOLDER

Times the numeric steps over the fixture, ours and the yardstick's in turn on the same inputs, in
CPU seconds of one process with one BLAS thread; then whole images in a fresh process, with its peak
memory; then builds with one worker and with two. The yardstick is a folder with the modules jpeg8,
legacy_resize, soft_blur and legacy_warp, whose results must be the same. One JSON line each.
"""

import argparse
import dataclasses
import importlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

from pgtf.commands.parsers import Parser
from pgtf.dataset.celebahq import blur, depth_of_field, geometry
from pgtf.dataset.celebahq.builder import build
from pgtf.dataset.celebahq.deltas import Archives, entry_name, zip_name
from pgtf.dataset.celebahq.inputs import read_image_list, read_landmarks
from pgtf.dataset.celebahq.jpeg import decode
from pgtf.dataset.celebahq.maker import Item, Maker
from pgtf.dataset.celebahq.resize import resize
from pgtf.dataset.celebahq.warp import warp_and_reduce

FIXTURE = pathlib.Path(__file__).parents[1] / "tests" / "data" / "celebahq"
CELEBA, DELTAS = FIXTURE / "celeba", FIXTURE / "celeba-hq-deltas"
ROWS = read_image_list(str(DELTAS))
NUM_PUBLISHED = 30_000
STEPS = ("decode", "resize", "blur", "warp")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def items():
    """The fixture's images."""
    _, landmarks = read_landmarks(str(CELEBA), len(ROWS))
    return [Item(row, landmarks[row.orig_idx]) for row in ROWS]


def inputs_of(item):
    """Yields (step, arguments) for each numeric step that an image goes through."""
    data = (CELEBA / "img_celeba" / item.row.orig_file).read_bytes()
    yield "decode", (data,)
    view = geometry.find_face(decode(data), item.landmarks)
    for step in (geometry.shrink, geometry.crop, geometry.enlarge):
        before, view = view, step(view)
        if step is not geometry.crop and view.image is not before.image:
            yield "resize", (before.image, *view.size)
    before, view = view, depth_of_field.pad(view)
    if view.image is not before.image:
        left, top = (int(offset) for offset in np.rint(view.quad[0] - before.quad[0]))
        right, bottom = (
            new - old - offset
            for new, old, offset in zip(view.size, before.size, (left, top), strict=True)
        )
        sigma = geometry.SIZE * depth_of_field.BLUR / before.zoom
        yield "blur", (before.image, (left, top, right, bottom), sigma)
    yield "warp", (view.image, view.quad + np.float32(0.5))


def blur_padded(image, padding, sigma):
    """Pads and blurs: uint8 [C, H, W] -> float32 [C, h, w]."""
    left, top, right, bottom = padding
    weights = blur.gaussian(sigma)
    rows = blur.Axis(image.shape[1], top, bottom, len(weights) - 1)
    columns = blur.Axis(image.shape[2], left, right, len(weights) - 1)
    result = np.empty((len(image), rows.num_padded, columns.num_padded), np.float32)
    for plane, out in zip(image, result, strict=True):
        distinct = blur.blur(plane, rows, columns, weights)
        np.take(distinct[rows.copies], columns.copies, axis=1, out=out, mode="clip")
    return result


OURS = {"decode": decode, "resize": resize, "blur": blur_padded, "warp": warp_and_reduce}


def yardsticks(folder):
    """Step -> the yardstick's function, with the arguments of ours."""
    sys.path.insert(0, str(folder))
    names = ("jpeg8", "legacy_resize", "soft_blur", "legacy_warp")
    jpeg8, legacy_resize, soft_blur, legacy_warp = map(importlib.import_module, names)

    def blur_planes(image, padding, sigma):
        left, top, right, bottom = padding
        padded = np.pad(image, ((0, 0), (top, bottom), (left, right)), "reflect")
        return np.stack(
            [soft_blur.gaussian_blur(plane.astype(np.float32), sigma) for plane in padded]
        )

    return {
        "decode": jpeg8.decode,
        "resize": legacy_resize.resize,
        "blur": blur_planes,
        "warp": legacy_warp.warp_and_reduce,
    }


def timed(function, args):
    start = time.process_time()
    result = function(*args)
    return time.process_time() - start, result


def measure_steps(args):
    """Prints a line per image and step, and returns CPU seconds by step: ours, the yardstick's."""
    theirs = yardsticks(args.yardstick) if args.yardstick else {}
    total = {step: [0.0, 0.0] for step in STEPS}
    for item in items():
        for step, arguments in inputs_of(item):
            best = [float("inf"), float("inf") if theirs else 0.0]
            for _ in range(args.repeats):
                seconds, ours = timed(OURS[step], arguments)
                best[0] = min(best[0], seconds)
                if theirs:
                    seconds, reference = timed(theirs[step], arguments)
                    best[1] = min(best[1], seconds)
                    if not np.array_equal(ours, reference):
                        raise SystemExit(f"{item.row.orig_file}: {step} differs.")
            line = {"image": item.row.orig_file, "step": step, "cpu_sec": round(best[0], 4)}
            print(json.dumps(line | {"yardstick_cpu_sec": round(best[1], 4)}), flush=True)
            total[step] = [sum(pair) for pair in zip(total[step], best, strict=True)]
    for step, (ours, reference) in total.items():
        line = {"step": step, "cpu_sec": round(ours, 3), "yardstick_cpu_sec": round(reference, 3)}
        print(
            json.dumps(line | ({"ratio": round(ours / reference, 3)} if theirs else {})), flush=True
        )
    return total


def measure_images(args):
    """Makes every image `repeats` times; prints the CPU time and this process's peak memory."""
    maker = Maker(str(CELEBA), str(DELTAS))
    best = {}
    for _ in range(args.repeats):
        for item in items():
            seconds, (image, result) = timed(maker.make, (item,))
            if image is None:
                raise SystemExit(str(result))
            best[item.row.idx] = min(seconds, best.get(item.row.idx, seconds))
    line = {"cpu_sec_per_image": list(best.values()), "peak_rss_mib": round(peak_memory())}
    print(json.dumps(line))


def peak_memory():
    """Peak resident memory of this process, MiB.

    Not `ru_maxrss`: on Linux that includes the peak of the program that started this one.
    """
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def many(folder, copies):
    """Writes inputs that have each image of the fixture several times -> delta folder."""
    archives = Archives(str(DELTAS))
    rows = [row for _ in range(copies) for row in ROWS]
    with zipfile.ZipFile(folder / zip_name(0), "w") as archive:
        for number, row in enumerate(rows):
            archive.writestr(entry_name(number), archives.read(row.idx))
    lines = [" ".join(field.name for field in dataclasses.fields(ROWS[0]))]
    lines += [
        " ".join(map(str, dataclasses.astuple(dataclasses.replace(row, idx=number))))
        for number, row in enumerate(rows)
    ]
    (folder / "image_list.txt").write_text("\n".join(lines) + "\n")
    return folder


def measure_build(args):
    """Builds `copies` of the fixture with so many workers; prints the wall time."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        start = time.perf_counter()
        built = build(
            folder / "celebahq",
            CELEBA,
            many(folder, args.copies),
            num_images=len(ROWS),
            num_zips=1,
            first_jpeg_md5=None,
            num_workers=args.num_workers,
        )
        seconds = time.perf_counter() - start
    print(json.dumps({"images": len(built.results), "wall_sec": round(seconds, 2)}))


def fresh(measure, args, **options):
    """Runs one measurement in a process of its own -> its JSON line."""
    flags = [f"--{name}={value}" for name, value in {**options, "repeats": args.repeats}.items()]
    command = [sys.executable, "-m", "benchmarks.celebahq", f"--measure={measure}", *flags]
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--yardstick", help="folder to compare with (default: none)")
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument(
        "--copies", type=int, default=6, help="of the fixture in a build (default: %(default)s)"
    )
    parser.add_argument("--measure", choices=("images", "build"), help=argparse.SUPPRESS)
    parser.add_argument("--num_workers", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        return {"images": measure_images, "build": measure_build}[args.measure](args)
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # BLAS has read it already: start anew
        command = [sys.executable, "-m", "benchmarks.celebahq", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **ONE_THREAD})
    print(json.dumps({"python": platform.python_version(), "numpy": np.__version__}), flush=True)
    total = measure_steps(args)
    images = fresh("images", args)
    mean = float(np.mean(images["cpu_sec_per_image"]))
    line = {"cpu_sec_per_image": round(mean, 3), "peak_rss_mib": images["peak_rss_mib"]}
    if args.yardstick:
        gained = sum(reference - ours for ours, reference in total.values()) / len(ROWS)
        line["with_yardstick_steps"] = round(mean + gained, 3)
    line["hours_for_30000_on_one_core"] = round(mean * NUM_PUBLISHED / 3600, 1)
    print(json.dumps(line), flush=True)
    walls = {}
    for num_workers in (1, 2):
        walls[num_workers] = fresh("build", args, num_workers=num_workers, copies=args.copies)
        print(json.dumps({"num_workers": num_workers, **walls[num_workers]}), flush=True)
    print(
        json.dumps({"two_workers_over_one": round(walls[1]["wall_sec"] / walls[2]["wall_sec"], 2)})
    )


if __name__ == "__main__":
    main()
