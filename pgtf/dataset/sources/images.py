"""A folder of image files of any kind."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.description import DTYPE, PAPER_GRID
from pgtf.dataset.encoder import Rejected, TooManyRejected
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.pyramid import size_of, suggested_grid
from pgtf.dataset.sources.annotations import FileLabels, read_labels
from pgtf.dataset.sources.deep_pictures import read_deep
from pgtf.dataset.sources.deep_range import range_of_files
from pgtf.dataset.sources.groups import group_column, groups_of, held_out_last
from pgtf.dataset.sources.image_files import LoadFiles, Page
from pgtf.dataset.sources.image_options import ImageOptions as ImageOptions
from pgtf.dataset.sources.image_options import add_flags, options_of
from pgtf.dataset.sources.pictures import (
    FILE_ERRORS,
    GRAY_MODES,
    PLAIN_MODES,
    Conversion,
    read_picture,
)
from pgtf.dataset.sources.suggestion import suggested_command as suggested_command
from pgtf.dataset.sources.survey import all_pages, auto_range, survey, warn
from pgtf.dataset.sources.walking import find_images
from pgtf.dataset.sources.walking import list_images as list_images
from pgtf.files import PASSING, retried
from pgtf.foreign.pictures import open_picture, reason
from pgtf.grids import Grid

NO_FOLDER = "lies in no sub-folder, so --labels=folders gives it no class; move it into one"


def create(
    tfrecord_dir: str,
    image_dir: str,
    images: ImageOptions = ImageOptions(),  # noqa: B008 (frozen)
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset from the image files in a folder and the folders below it.

    Sorts the files by name, then shuffles them as the original does.
    """
    if images.transform != "none" and images.resolution is None:
        raise ValueError(
            f"`transform` needs a resolution. Received: transform={images.transform}. "
            "Add, for example, --resolution=256."
        )
    found = find_images(image_dir)
    names, rejected = _with_class(image_dir, found.images, images.labels)
    rejected = [*found.rejected, *rejected]
    if len(rejected) > images.max_errors:
        raise ValueError(_too_many(rejected, images.max_errors))
    conversion = _conversion(image_dir, names, images, options.grid)
    table = dataclasses.replace(images.table, group_column=group_column(images.split_by))
    labels = read_labels(images.labels, image_dir, names, table) if images.labels else None
    pages = _pages(image_dir, names, images)
    meta: dict[str, Any] = {}
    conversion = _with_range(conversion, image_dir, pages, images, options.num_workers)
    if value_range := conversion.value_range:
        meta["range"] = value_range
    file_numbers = {name: number for number, name in enumerate(names)}
    files = np.array([file_numbers[name] for name, _ in pages], np.int64)  # of each page
    order = shuffled(len(pages)) if images.shuffle else np.arange(len(pages))
    split = None
    if images.held_out is not None:
        groups = groups_of(image_dir, names, images.split_by, images.labels, table)
        of_pages = [groups[number] for number in files]
        order, split = held_out_last(order, of_pages, images, len(rejected))
        if images.split_by is not None:
            meta["subjects"] = len(set(groups))
    summary = export(
        tfrecord_dir,
        items=itertools.chain(rejected, (pages[i] for i in order)),
        num_items=len(rejected) + len(order),
        load=LoadFiles(
            image_dir, conversion, read_picture if conversion.dtype == DTYPE else read_deep
        ),
        shape=conversion.shape,
        dtype=conversion.dtype,
        job=_job(image_dir, names, images) | ({"range": value_range} if value_range else {}),
        labels=None if labels is None else _rows(labels, files[order], len(rejected)),
        label_names=() if labels is None else labels.names,
        meta=meta,
        max_images=images.max_images,
        max_errors=images.max_errors,
        split=split,
        options=options,
    )
    return dataclasses.replace(
        summary, skipped=tuple(found.others), passed_over=tuple(found.passed_over.items())
    )


def _with_range(
    conversion: Conversion,
    image_dir: str,
    pages: Sequence[Page],
    images: ImageOptions,
    num_workers: int | None,
) -> Conversion:
    """Finds the range of the files, if it is not given and needed."""
    if images.value_range == "auto":
        found = auto_range(image_dir, pages, images.max_pixels, num_workers)
    elif images.dtype != DTYPE and images.value_range is None:
        found = range_of_files(image_dir, pages, conversion, images.percentiles, num_workers)
    else:
        return conversion
    return dataclasses.replace(conversion, value_range=found)


def _pages(image_dir: str, names: list[str], images: ImageOptions) -> list[Page]:
    """Lists the pictures of all files; warns of what the options leave out."""
    takes_all = images.pages == "all"
    found = survey(image_dir, names, images.max_pixels)
    warn(found, images.value_range is not None or images.dtype != DTYPE, takes_all)
    if takes_all:
        return all_pages(image_dir, names, images.max_pixels)
    return [(name, 0) for name in names]


def _with_class(
    image_dir: str, names: list[str], labels: str | None
) -> tuple[list[str], list[Rejected]]:
    """Rejects images without a folder where folders are classes."""
    if labels != "folders":
        return names, []
    kept = [name for name in names if os.path.dirname(name)]
    if not kept:
        raise ValueError(
            f"{image_dir}: must have a sub-folder per class for --labels=folders. Received: all "
            f"{len(names)} images in one folder, such as {names[0]}."
        )
    stray = [os.path.join(image_dir, name) for name in names if not os.path.dirname(name)]
    return kept, [Rejected(path, NO_FOLDER) for path in stray]


def _too_many(rejected: Sequence[Rejected], max_errors: int) -> str:
    first = rejected[max_errors]
    return (
        f"{first.name}: {first.reason} (error {max_errors + 1} of {len(rejected)}; "
        f"--max_errors={len(rejected)} leaves them out)."
    )


def _rows(labels: FileLabels, order: np.ndarray, num_rejected: int) -> np.ndarray:
    """Labels in the order of the items, with any for items that are rejected already."""
    values = labels.values
    return np.concatenate(
        [np.zeros_like(values, shape=(num_rejected, *values.shape[1:])), values[order]]
    )


def _conversion(
    image_dir: str, names: Sequence[str], images: ImageOptions, grid: Grid
) -> Conversion:
    """Takes the channels and resolution that are not given from the first readable file."""
    if images.pad is not None and images.transform != "pad":
        raise ValueError(
            "`pad` is the color of the bars of transform=pad. "
            f"Received: pad={images.pad}, transform={images.transform}. Add --transform=pad."
        )
    if images.channels is not None and images.resolution is not None:
        channels, side = images.channels, images.resolution
    else:
        mode, (width, height), name = _first_picture(image_dir, names, images)
        converts = images.value_range is not None or images.alpha != "error"
        if (converts or images.dtype != DTYPE) and mode not in PLAIN_MODES:
            mode = "L" if mode in GRAY_MODES else "RGB"
        if images.channels is None and mode not in PLAIN_MODES:
            raise ValueError(
                f"{name}: must be stored as RGB or grayscale. "
                f"Received: {mode}. Add --channels=3 or --channels=1 to convert."
            )
        channels = images.channels or PLAIN_MODES[mode]
        side = images.resolution or _resolution(name, width, height, grid)
    size_of(side, grid)
    return Conversion(
        channels,
        side,
        images.transform,
        images.alpha,
        images.strict,
        value_range=None if images.value_range == "auto" else images.value_range,
        pad=images.pad,
        max_pixels=images.max_pixels,
        grid=grid,
        dtype=images.dtype,
    )


def _resolution(name: str, width: int, height: int, grid: Grid) -> int:
    """Resolution of images like the first one.

    Raises:
        ValueError: they have no pyramid.
    """
    if level := grid.level_of(height, width):
        return 1 << level
    if grid != PAPER_GRID:
        rule = f"must be {grid} times a power of two (height x width)"
    elif width != height:
        rule = "width and height must be the same"
    else:
        rule = "the resolution must be a power of two of at least 4"
    other = suggested_grid(height, width)
    raise ValueError(
        f"{name}: {rule}. Received: {width}x{height}. Add --resolution and --transform to convert"
        + (f", or --grid={other} to keep them." if other else ".")
    )


def _first_picture(
    image_dir: str, names: Sequence[str], images: ImageOptions
) -> tuple[str, tuple[int, int], str]:
    """Mode, size and path of the first readable file, which `max_errors` others may precede."""
    for place, name in enumerate(names):
        path = os.path.join(image_dir, name)
        try:
            mode, size = retried(functools.partial(_kind, path, images.max_pixels), path)
            return mode, size, path
        except FILE_ERRORS as error:
            if isinstance(error, OSError) and error.errno in PASSING:
                raise
            if place >= images.max_errors:
                raise TooManyRejected(f"{path}: {reason(error)}") from error
    raise ValueError(f"{image_dir}: none of {len(names)} files is an image that can be read.")


def _kind(path: str, max_pixels: int) -> tuple[str, tuple[int, int]]:
    """Mode and size of a picture."""
    with open_picture(path, pixels=False, max_pixels=max_pixels) as picture:
        return picture.mode, picture.size


def _job(image_dir: str, names: Sequence[str], images: ImageOptions) -> dict[str, object]:
    """Describes the job; one that resumes it must have the same description."""
    options = dataclasses.asdict(images)
    del options["max_errors"]  # A job that met too many is resumed with a higher limit.
    # An older version may have begun the job.
    newer = ("table", "value_range", "pages", "pad", "max_pixels", "held_out", "split_by")
    for name in (*newer, "dtype", "percentiles"):
        if getattr(images, name) == getattr(ImageOptions, name):
            del options[name]
    files = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    folder = os.path.abspath(image_dir)
    return {"command": "create_from_images", "image_dir": folder, "files": files} | options


def add_command(commands: Commands) -> None:
    """Adds create_from_images to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_from_images",
        "The image files in a folder and the folders below it.",
        "datasets/cats ~/cats --resolution=128 --transform=center-crop --channels=3",
        _run,
        "image_dir",
        "folder or .zip file of images; without the flags below they must be RGB or gray and all "
        "of one size, square, a power of two",
    )
    add_flags(p)


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.image_dir, options_of(args), options)
