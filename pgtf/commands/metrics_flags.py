"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd

Fakes come from all snapshots of a run (--run; the newest one by default), one snapshot
(--snapshot), a pickle of the original release (--pkl), a SavedModel (--saved_model), a folder of
image files (--fakes), or, with --dataset or --reals alone, from the reals themselves. Reals come
from a dataset (--dataset; by default that of the run) or a folder of image files (--reals).

python -m metrics plot draws the curves of a run, python -m metrics neighbours the training images
closest to sixteen fakes; python -m metrics train_classifier trains the classifier of mode coverage.
"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.commands.parsers import Parser, check_files, nearest, resolve_hub
from pgtf.dataset import open_dataset
from pgtf.dataset.commands import PAD, add_depth, color
from pgtf.dataset.folder import Part
from pgtf.dataset.sources.image_folder import Alpha, Transform
from pgtf.installation import command
from pgtf.metrics import cache, inception
from pgtf.metrics.evaluator import SEED
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.modes import CLASSIFIER
from pgtf.metrics.plan import FIELD_NAMES, parse_plan
from pgtf.runs import run_folder

_RUN = "folder of a run, or its number in --outdir (default: the newest)"
_OUTDIR = "folder of all runs (default: %(default)s)"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parses a command line, the name of the script included. `command` is "" for measuring."""
    add_flags = {
        "plot": add_plot_flags,
        "neighbours": add_sheet_flags,
        "privacy": add_privacy_flags,
        "train_classifier": add_classifier_flags,
    }
    name = argv[1] if len(argv) > 1 and argv[1] in add_flags else ""
    parser = Parser(
        prog=f"{command('metrics')} {name}".rstrip(),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags.get(name, add_measure_flags)(parser)
    parser.set_defaults(command=name)
    if not name and argv[1:] and not argv[1].startswith("-"):
        parser.error(f"no command `{argv[1]}`{nearest(argv[1], add_flags)}")
    args: argparse.Namespace = parser.parse_args(argv[2:] if name else argv[1:])
    with one_line_errors():
        resolve_hub(args)
        check_files(args, "snapshot", "pkl", folders=["saved_model", "fakes", "reals", "dataset"])
        if not name:
            parse_plan(args.metrics)
        if not getattr(args, "download_inception", False):
            _check_sources(args)
    announce_tensorflow()
    return args


def _check_sources(args: argparse.Namespace) -> None:
    """Raises the errors of a run that does not exist, and of a folder without a dataset."""
    if dataset := getattr(args, "dataset", None):
        open_dataset(dataset, max_label_size=0)
    others = ("snapshot", "pkl", "saved_model", "fakes", "dataset", "reals")
    if "run" in args and (args.run or not any(getattr(args, name, None) for name in others)):
        run_folder.locate(args.outdir, args.run)


def add_plot_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `plot`."""
    parser.add_argument("--run", help=_RUN)
    parser.add_argument("--outdir", default="results", help=_OUTDIR)
    parser.add_argument("--out", type=Path, help="PNG file to write (default: RUN/metrics.png)")


def _add_source_flags(parser: argparse.ArgumentParser) -> None:
    fakes = parser.add_mutually_exclusive_group()
    fakes.add_argument("--run", help=_RUN)
    fakes.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5")
    fakes.add_argument("--pkl", help="network pickle of the original release")
    fakes.add_argument("--saved_model", help="folder that generate.py export wrote")
    fakes.add_argument("--fakes", help="folder of image files")
    reals = parser.add_mutually_exclusive_group()
    reals.add_argument("--dataset", help="folder of the reals (default: that of the run)")
    reals.add_argument("--reals", help="folder of image files to use as reals")
    parser.add_argument(
        "--split",
        choices=typing.get_args(Part),
        default="train",
        help="images of the dataset that are the reals; held_out = those that training never saw, "
        "see create_from_images --held_out (default: %(default)s)",
    )
    parser.add_argument("--outdir", default="results", help=_OUTDIR)
    parser.add_argument(
        "--seed", type=int, default=SEED, help="seed of everything random (default: %(default)s)"
    )
    _add_folder_flags(parser.add_argument_group("folders of image files (--reals, --fakes)"))


def _add_folder_flags(group: Any) -> None:
    """Adds the flags of create_from_images that convert image files."""
    group.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        help="convert to gray or RGB (default: reals to RGB if any of them has colors, fakes to "
        "the channels of the reals)",
    )
    group.add_argument("--resolution", type=_positive, help="pixels (default: as the first image)")
    group.add_argument(
        "--transform",
        choices=typing.get_args(Transform),
        default="none",
        help="how to fit images of another size to --resolution (default: %(default)s)",
    )
    group.add_argument(
        "--alpha",
        choices=typing.get_args(Alpha),
        default="error",
        help="what to do with transparent pixels (default: %(default)s)",
    )
    group.add_argument("--pad", type=color, metavar="COLOR", help=PAD)
    add_depth(group)


def add_sheet_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `neighbours`."""
    _add_source_flags(parser)
    parser.add_argument("--out", type=Path, help="PNG file (default: <fakes>-neighbours.png)")


def add_privacy_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `privacy`."""
    parser.add_argument("--run", help=_RUN)
    parser.add_argument("--outdir", default="results", help=_OUTDIR)
    text = "number of generated images (default: %(default)s)"
    parser.add_argument("--num", type=_positive, default=2000, help=text)
    text = "at most so many training images, and so many held-out ones (default: %(default)s)"
    parser.add_argument("--num_reals", type=_positive, default=20_000, help=text)
    text = "search for the latents of so many training and held-out images, 0 = none (default: "
    parser.add_argument("--num_projected", type=_natural, default=100, help=f"{text}%(default)s)")
    text = "steps of each search (default: %(default)s)"
    parser.add_argument("--projection_steps", type=_positive, default=60, help=text)
    text = f"file {inception.GRAPH_NAME}: compare its features too (default: pixels and shapes)"
    parser.add_argument("--inception", metavar="FILE", help=text)
    text = "random seed (default: %(default)s)"
    parser.add_argument("--seed", type=_natural, default=0, help=text)
    parser.add_argument(
        "--out", type=Path, help="page to write (default: privacy.html in the run's folder)"
    )


def add_classifier_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `train_classifier`."""
    parser.add_argument(
        "--dataset",
        default="datasets/mnist",
        help="labelled dataset to train on (default: %(default)s; datasets/demo for cartoon faces)",
    )
    parser.add_argument(
        "--out", help=f"file to write (default: {CLASSIFIER} in the dataset folder)"
    )
    parser.add_argument(
        "--epochs", type=int, default=5, help="passes over the images (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights and order (default: %(default)s)"
    )


def add_measure_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the command without a name, which measures."""
    _add_source_flags(parser)
    names = ", ".join(f"{name} ({kind.default_images})" for name, kind in MEASURES.items())
    parser.add_argument(
        "--metrics",
        default="swd",
        help="NAME[:NUMBER[k]],...[@every=N]; N counts snapshots of --run (default: %(default)s). "
        f"Names, and their default numbers of fakes: {names}. Also {', '.join(FIELD_NAMES)}",
    )
    parser.add_argument(
        "--num_images", type=_positive, help="fakes for metrics without a number of their own"
    )
    parser.add_argument(
        "--num_reals",
        type=_positive_or_all,
        metavar="N|all",
        help="reals, a random choice (default: all for fid, kid and pr; as many as fakes, or all "
        "if they are fewer, for swd, msssim and names like fid50k)",
    )
    parser.add_argument(
        "--inception", help=f"file {inception.GRAPH_NAME} (default: {inception.default_path()})"
    )
    parser.add_argument("--inception_sha256", help="refuse another file (default: any, reported)")
    parser.add_argument(
        "--download_inception", action="store_true", help="fetch the graph, about 90 MB, and stop"
    )
    parser.add_argument(
        "--fid_mode",
        choices=inception.MODES,
        default="legacy",
        help="resizing of images for Inception (default: %(default)s, as the original)",
    )
    parser.add_argument(
        "--classifier", help=f"classifier file for modes (default: {CLASSIFIER} in the dataset)"
    )
    parser.add_argument(
        "--records",
        help="folder for metric-*.jsonl (default: that of the run; without one, print only)",
    )
    parser.add_argument(
        "--per_label",
        action="store_true",
        help="measure every class and finding of the dataset by itself, on its reals and on fakes "
        "asked for it",
    )
    parser.add_argument("--again", action="store_true", help="measure recorded snapshots again")
    parser.add_argument(
        "--no_cache", action="store_true", help=f"keep nothing in {cache.default_folder()}"
    )


def _positive_or_all(text: str) -> int | str:
    if text != "all" and not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a number above 0, or all. Received: {text}")
    return text if text == "all" else int(text)


def _positive(text: str) -> int:
    return _at_least(text, 1, "above 0")


def _natural(text: str) -> int:
    return _at_least(text, 0, "0 or more")


def _at_least(text: str, least: int, words: str) -> int:
    """Parses a whole number."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"must be {words}. Received: {text}")
    return number
