"""The sub-commands create_faces and rank_images of dataset_tool.py."""

from __future__ import annotations

import argparse
import functools
import os
import typing
from collections.abc import Callable
from typing import Any

from pgtf.dataset.commands import add_depth, natural, positive
from pgtf.dataset.exporter import Options, Summary
from pgtf.dataset.faces import builder
from pgtf.dataset.faces.alignment import Network
from pgtf.dataset.faces.options import FaceOptions, Gray
from pgtf.dataset.faces.ranking import (
    BEST_FOLDER,
    SCORES_FILE,
    SHEET_FILE,
    default_folder,
    rank_images,
)
from pgtf.dataset.sources.pictures import Alpha
from pgtf.foreign.terminal import one_line

OpenRestorer = Callable[[str, str], Network]  # folder of a model, task that it must have


def add_commands(commands: Any, open_restorer: OpenRestorer) -> None:
    """Adds create_faces and rank_images to the sub-commands of dataset_tool.py.

    Args:
        commands: commands.Commands.
        open_restorer: opens a restoration network, which this package knows nothing about.
    """
    _add_create_faces(commands, open_restorer)
    _add_rank_images(commands)


def _add_create_faces(commands: Any, open_restorer: OpenRestorer) -> None:
    p: argparse.ArgumentParser = commands.add_create(
        "create_faces",
        "The best faces from a folder of photographs, aligned as in CelebA-HQ; see docs/faces.md.",
        "datasets/faces ~/photographs ~/photographs/landmarks.csv --resolution=256",
        functools.partial(create_faces, open_restorer=open_restorer),
        "images_dir",
        "folder of photographs of any size",
    )
    p.add_argument(
        "landmarks",
        help="five points per face: a .csv or .json file, or text in CelebA's format",
    )
    default = FaceOptions()
    help = (
        "side of a face in pixels, a power of two; with --grid, a face is so many quarters of it "
        "(default: %(default)s)"
    )
    p.add_argument("--resolution", type=positive, default=default.resolution, help=help)
    help = "number of faces, those of the highest quality (default: %(default)s)"
    p.add_argument("--keep", type=positive, default=default.keep, help=help)
    p.add_argument(
        "--restore",
        default="lanczos",
        metavar="none|lanczos|MODEL",
        help="enlarge a face with fewer pixels than the resolution in this way before it is "
        "warped; MODEL is a network from python -m pgtf.restoration train --task=sr "
        "(default: %(default)s)",
    )
    p.add_argument(
        "--jpeg",
        default="none",
        metavar="none|MODEL",
        help="remove JPEG artifacts first, with a network of --task=jpeg (default: %(default)s)",
    )
    help = "least side in pixels of the square around a face (default: an eighth of the resolution)"
    p.add_argument("--min_face", type=natural, help=help)
    p.add_argument(
        "--gray",
        choices=typing.get_args(Gray),
        default=default.gray,
        help="treatment of gray photographs (default: %(default)s)",
    )
    p.add_argument(
        "--alpha",
        choices=typing.get_args(Alpha),
        default=default.alpha,
        help="treatment of transparent pixels (default: %(default)s)",
    )
    add_depth(p, auto=True)
    _add_max_errors(p, "faces")


def create_faces(
    args: argparse.Namespace, options: Options, open_restorer: OpenRestorer
) -> Summary:
    """Creates the dataset; prints the number of faces and the files with their scores."""
    is_model = args.restore not in ("none", "lanczos")
    faces = FaceOptions(
        resolution=args.resolution,
        keep=args.keep,
        lanczos=args.restore != "none",
        clean=None if args.jpeg == "none" else open_restorer(args.jpeg, "jpeg"),
        upscale=open_restorer(args.restore, "sr") if is_model else None,
        min_face=args.min_face,
        alpha=args.alpha,
        gray=args.gray,
        value_range=args.value_range,
        max_pixels=args.max_pixels,
        max_errors=args.max_errors,
    )
    models = {
        name: os.path.abspath(path) if os.path.isdir(path) else path
        for name, path in (("restore", args.restore), ("jpeg", args.jpeg))
    }
    built = builder.create(
        args.tfrecord_dir, args.images_dir, args.landmarks, faces, options, models
    )
    print(f"Faces          {built.summary.num_images} kept of {built.num_faces}")
    print(f"Scores         {built.scores_file}")
    print(f"Quality        {built.quality_sheet}")
    return built.summary


def _add_rank_images(commands: Any) -> None:
    help = "Score images by how broad and symmetric their power spectra are; keep the best."
    p = commands.add("rank_images", help, "~/photographs --keep=1000", rank)
    p.add_argument("images_dir", metavar="folder", help="image files of any kind and size")
    p.add_argument("--keep", type=positive, required=True, help="number of images to keep")
    p.add_argument("--out", help="folder to create (default: FOLDER-ranked)")
    add_depth(p, auto=True)
    _add_max_errors(p, "images")
    p.add_argument("--num_workers", type=positive, help="processes (default: one per core)")
    p.add_argument("--resume", action="store_true", help="continue an interrupted job")


def rank(args: argparse.Namespace) -> None:
    """Ranks images; prints the files that it wrote, and the images that it rejected."""
    options = Options(args.num_workers, args.resume)
    # After an interruption, the script looks for `args.out` to say how to continue.
    args.out = args.out or default_folder(args.images_dir)
    places = args.images_dir, args.keep, args.out
    limits = args.max_pixels, args.value_range
    ranked = rank_images(*places, args.max_errors, options, *limits)
    for rejected in ranked.rejected:
        print(f"Rejected       {one_line(rejected.name)}  {one_line(rejected.reason)}")
    for what, name in ("Scores", SCORES_FILE), ("Quality", SHEET_FILE), ("Best", BEST_FOLDER):
        print(f"{what:14} {os.path.join(ranked.path, name)}")
    print(f"Images         {ranked.num_kept} kept of {ranked.num_images}")


def _add_max_errors(p: argparse.ArgumentParser, what: str) -> None:
    help = f"skip and list at most so many unusable {what} (default: %(default)s)"
    p.add_argument("--max_errors", type=natural, default=0, help=help)
