"""The common parts of dataset_tool.py's sub-commands: flags, help and the final summary."""

from __future__ import annotations

import argparse
import collections
import os
from collections.abc import Callable
from typing import Any

import PIL.ImageColor

from pgtf.dataset.description import DTYPE, PAPER_GRID
from pgtf.dataset.exporter import Options, Summary
from pgtf.dataset.sources.ranges import parse_range, parse_range_or_auto
from pgtf.foreign.limits import MAX_PIXELS
from pgtf.foreign.terminal import one_line
from pgtf.grids import Grid
from pgtf.installation import command
from pgtf.previews import check_mapping
from pgtf.wording import counted

PAD = "bars of --transform=pad: white, #20c0ff, ... (default: that of --alpha, or black)"
RANGE = "values that become black and white (default: all of the type of number)"
GRID = (
    "size of the coarsest level, of which the images are a power of two larger: 5x4 for 1280x1024 "
    "(default: 4x4)"
)
MAPPING = "CHANNELS|MAP"
PREVIEW = (
    "what pictures show of images with other numbers of channels: one channel or three, such as 0 "
    "or 3,2,1, or a color map such as viridis (default: the first three, or the first)"
)
MAX_LISTED = 12  # label names, or kinds of files, in a summary


class Commands:
    """Adds sub-commands with the same layout of help and the same common flags."""

    def __init__(self, subparsers: Any):
        self._subparsers = subparsers

    def add(
        self, name: str, help: str, example: str, run: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        """Adds a command without arguments; the caller adds them to the result."""
        parser: argparse.ArgumentParser = self._subparsers.add_parser(
            name,
            help=help,
            description=help,
            epilog=f"example: {command('dataset')} {name} {example}",
        )
        parser.set_defaults(run=run)
        return parser

    def add_create(
        self,
        name: str,
        help: str,
        example: str,
        create: Callable[[argparse.Namespace, Options], Summary],
        *source: str,
    ) -> argparse.ArgumentParser:
        """Adds a command that creates a dataset.

        Args:
            name: name of the command.
            help: one sentence.
            example: arguments that work.
            create: creates the dataset from the parsed arguments.
            source: name and help of the positional argument that names the source, if any.
        """

        def run(args: argparse.Namespace) -> None:
            options = Options(args.num_workers, args.resume, args.grid, args.preview)
            print_summary(create(args, options))

        parser = self.add(name, help, example, run)
        parser.add_argument("tfrecord_dir", help="dataset folder to create; must not exist")
        if source:
            parser.add_argument(source[0], help=source[1])
        parser.add_argument(
            "--num_workers", type=positive, help="processes (default: one per core)"
        )
        parser.add_argument("--resume", action="store_true", help="continue an interrupted job")
        parser.add_argument(
            "--grid", type=grid, default=PAPER_GRID, metavar="HEIGHTxWIDTH", help=GRID
        )
        parser.add_argument("--preview", type=mapping, metavar=MAPPING, help=PREVIEW)
        return parser


def positive(text: str) -> int:
    """Parses an integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def natural(text: str) -> int:
    """Parses an integer of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def grid(text: str) -> Grid:
    """Parses HEIGHTxWIDTH of the coarsest level, for argparse."""
    try:
        return Grid.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def mapping(text: str) -> str:
    """Parses channels or a color map, for argparse."""
    try:
        return check_mapping(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def color(text: str) -> str:
    """Parses a name or #rrggbb of a color without transparency, for argparse."""
    try:
        num_bands = len(PIL.ImageColor.getrgb(text))
    except ValueError:
        num_bands = 0
    if num_bands != 3:
        raise argparse.ArgumentTypeError(
            f"must be a color, such as white or #20c0ff. Received: {text!r}"
        )
    return text


def print_summary(summary: Summary) -> None:
    """Prints the new dataset and the files that were not used."""
    if summary.rejected:
        rows = [(one_line(x.name), one_line(x.reason)) for x in summary.rejected]
        width = max(len(name) for name, _ in rows)
        print(f"Rejected, {len(rows)} in all:")
        for name, why in rows:
            print(f"  {name:{width}}  {why}")
    if summary.skipped:
        kinds = collections.Counter(
            one_line(os.path.splitext(name)[1].lower()) or "without extension"
            for name in summary.skipped
        )
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(MAX_LISTED))
        print(f"Skipped        {len(summary.skipped)} files of other kinds: {counts}")
    if summary.passed_over:
        listed = summary.passed_over[:MAX_LISTED]
        counts = ", ".join(f"{count} {one_line(kind)}" for kind, count in listed)
        print(f"Skipped        {counts}")
    num = summary.num_channels - summary.num_masks
    channels = {1: "gray", 3: "RGB"}.get(num, f"with {counted(num, 'channel')}")
    if summary.num_masks:
        channels += f" and {counted(summary.num_masks, 'mask')}"
    height, width = summary.size
    kind = "" if height == width else " (height x width)"
    if summary.dtype != DTYPE:
        low, high = summary.value_range
        kind += f", {summary.dtype} of {low:g} to {high:g}"
    names = ", ".join(map(one_line, summary.label_names[:MAX_LISTED]))
    held_out = f", {summary.num_held_out} of them held out" if summary.num_held_out else ""
    more = ", ..." if len(summary.label_names) > MAX_LISTED else ""
    print(
        f"Dataset        {one_line(summary.path)}\n"
        f"Images         {summary.num_images}{held_out}\n"
        f"Resolution     {height}x{width} {channels}{kind}\n"
        f"Labels         {summary.label_size or 'none'}{': ' if names else ''}{names}{more}\n"
        f"Size           {summary.num_bytes / 2**20:.1f} MiB\n"
        f"Time           {summary.seconds:.1f} s\n"
        f"Contact sheet  {one_line(summary.contact_sheet)}"
    )


def add_conversion(
    p: argparse.ArgumentParser, channels: int | None = None, transform: str = "none"
) -> None:
    """Adds the flags that convert images of any size and kind to one shape."""
    if channels:
        p.add_argument("--resolution", type=positive, required=True, help="pixels")
    else:
        help = (
            "pixels, a power of two; with --grid, the images are so many quarters of it "
            "(default: as the first image)"
        )
        p.add_argument("--resolution", type=positive, help=help)
    p.add_argument(
        "--transform",
        choices=("none", "center-crop", "pad", "resize"),
        default=transform,
        help="how to fit images of another size (default: %(default)s)",
    )
    p.add_argument("--pad", type=color, metavar="COLOR", help=PAD)
    p.add_argument(
        "--channels",
        type=int,
        choices=(1, 3),
        default=channels,
        help=f"convert to gray or RGB (default: {channels or 'as the first image'})",
    )
    p.add_argument(
        "--alpha",
        choices=("error", "drop", "white", "black"),
        default="error",
        help="what to do with transparent pixels (default: %(default)s)",
    )


def add_depth(p: Any, auto: bool = False) -> None:
    """Adds the flags of all commands that decode users' pictures: of many bits, of many pixels.

    Args:
        p: parser, or group of flags.
        auto: --range=auto is possible: the command reads a whole set of pictures.
    """
    metavar = "LOW,HIGH|auto" if auto else "LOW,HIGH"
    kind: Any = parse_range_or_auto if auto else parse_range
    p.add_argument("--range", dest="value_range", metavar=metavar, type=kind, help=RANGE)
    help = "pixels that a file may have (default: %(default)s)"
    p.add_argument("--max_pixels", type=positive, default=MAX_PIXELS, help=help)
