"""The sub-command create_celebahq of dataset_tool.py: checks inputs, estimates time, builds."""

from __future__ import annotations

import argparse
import os
from typing import Any

from pgtf.dataset.celebahq import builder, preflight
from pgtf.dataset.celebahq.geometry import SIZE
from pgtf.dataset.celebahq.maker import Maker
from pgtf.dataset.celebahq.report import REPORT_FILE, table
from pgtf.dataset.exporter import Options, Summary
from pgtf.dataset.workers import default_num_workers
from pgtf.foreign.terminal import one_line

GIB = 2**30
IGNORED = "accepted for the original's scripts, but without effect: see --num_workers"


def add_command(commands: Any) -> None:
    """Adds create_celebahq to the sub-commands of dataset_tool.py."""
    p: argparse.ArgumentParser = commands.add_create(
        "create_celebahq",
        "CelebA-HQ, from CelebA and the published deltas; see docs/celebahq.md.",
        "datasets/celebahq ~/celeba ~/celeba-hq-deltas",
        create,
        "celeba_dir",
        "folder with img_celeba (in-the-wild photographs) and Anno",
    )
    p.add_argument("delta_dir", help="folder with image_list.txt and deltas*.zip")
    p.add_argument("--num_threads", type=int, help=IGNORED)
    p.add_argument("--num_tasks", type=int, help=IGNORED)
    p.add_argument(
        "--on_error",
        choices=("stop", "skip"),
        default="stop",
        help="stop at an image that cannot be made, or skip it (default: %(default)s)",
    )
    p.add_argument(
        "--tolerant",
        action="store_true",
        help="keep an image if its photograph decrypts the delta but its pixels differ",
    )
    p.add_argument(
        "--labels",
        choices=("none", "attributes"),
        default="none",
        help="attributes: label each image with CelebA's 40 attributes, which are read from "
        "Anno/list_attr_celeba.txt (default: %(default)s)",
    )
    p.add_argument(
        "--resolution",
        type=int,
        choices=builder.RESOLUTIONS,
        default=SIZE,
        metavar="PIXELS",
        help="side of the finest level, a power of two up to 1024 (default: %(default)s)",
    )
    p.add_argument("--images_dir", help="folder that also receives the images as PNG files")
    p.add_argument(
        "--check",
        choices=("quick", "full"),
        default="quick",
        help="full: compare the checksums of all deltas first (default: %(default)s)",
    )
    p.add_argument("--dry_run", action="store_true", help="check the inputs and stop")


def create(args: argparse.Namespace, options: Options) -> Summary:
    """Builds CelebA-HQ; prints the result of the checks and the outcomes of the images."""
    found = preflight.check_inputs(
        args.celeba_dir,
        args.delta_dir,
        num_images=builder.NUM_IMAGES,
        num_zips=builder.NUM_ZIPS,
        first_jpeg_md5=builder.FIRST_JPEG_MD5,
        check=args.check,
    )
    print_preflight(found, args, options.num_workers or default_num_workers())
    if args.on_error == "stop":
        found.refuse_problems()
    if args.dry_run:
        raise SystemExit(0)
    built = builder.build(
        args.tfrecord_dir,
        args.celeba_dir,
        args.delta_dir,
        num_workers=options.num_workers,
        on_error=args.on_error,
        tolerant=args.tolerant,
        labels=args.labels,
        resolution=args.resolution,
        images_dir=args.images_dir,
        preflight=found,
        grid=options.grid,
        preview=options.preview,
    )
    print(table(built.results))
    print(f"Report         {os.path.join(args.tfrecord_dir, REPORT_FILE)}")
    return built.summary


def print_preflight(found: preflight.Preflight, args: argparse.Namespace, num_workers: int) -> None:
    """Prints the problems of the inputs, and the space and time that the job takes."""
    for problem in found.problems:
        print(f"Problem        {one_line(problem)}")
    count = len(found.rows)
    print(f"Inputs         {count} images to make, {len(found.problems) or 'no'} problems")
    needed, free = preflight.disk_space(count, args.resolution, args.tfrecord_dir)
    short = ": too little" if needed > free else ""
    print(f"Disk           {needed / GIB:,.1f} GiB needed, {free / GIB:,.1f} GiB free{short}")
    if args.images_dir:
        place = args.images_dir, args.tfrecord_dir
        needed, free, is_shared = preflight.pictures_space(count, *place)
        where = "free on the same disk" if is_shared else "free on their disk"
        print(f"Pictures       {needed / GIB:,.1f} GiB more, {free / GIB:,.1f} GiB {where}")
    if not found.problems or args.on_error == "skip":
        maker = Maker(args.celeba_dir, args.delta_dir, tolerant=args.tolerant)
        seconds = preflight.seconds_per_image(maker, found)
        hours = seconds * count / num_workers / 3600
        print(
            f"Time           about {hours:,.1f} h with {num_workers} workers, "
            f"{seconds:.2f} s per image"
        )
