"""A folder of image files of any kind."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
import itertools
import os
import shlex
from collections.abc import Iterator, Sequence

import numpy as np

from pgtf.dataset.commands import Commands, add_conversion, natural, positive
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.folder import MIN_RESOLUTION_LOG2
from pgtf.dataset.pyramid import has_pyramid
from pgtf.dataset.sources.annotations import read_labels
from pgtf.dataset.sources.pictures import (
    FILE_ERRORS,
    PLAIN_MODES,
    Alpha,
    Conversion,
    Transform,
    read_picture,
)
from pgtf.foreign.pictures import extensions, open_picture, reason

SURVEYED = 200  # files opened to suggest a command
MAX_SUGGESTED = 1024  # pixels


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """Options of the conversion. The defaults change nothing, as in the original release."""

    shuffle: bool = True
    resolution: int | None = None  # pixels; None = that of the first image
    transform: Transform = "none"  # fits images of another size
    channels: int | None = None  # 1 or 3; None = those of the first image
    alpha: Alpha = "error"  # treatment of transparent pixels
    labels: str | None = None  # "folders", or a .csv, .json or .npy file; None = unlabelled
    max_images: int | None = None
    max_errors: int = 0  # unusable files to skip; one more ends the job

    @property
    def strict(self) -> bool:
        """True if files must be plain RGB or gray already, as for the original."""
        conversions = (self.resolution, self.channels, self.transform, self.alpha)
        return conversions == (None, None, "none", "error")


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
    names, others = list_images(image_dir)
    conversion = _conversion(image_dir, names, images)
    labels = read_labels(images.labels, image_dir, names) if images.labels else None
    order = shuffled(len(names)) if images.shuffle else np.arange(len(names))
    summary = export(
        tfrecord_dir,
        items=(names[i] for i in order),
        num_items=len(names),
        load=_LoadFiles(image_dir, conversion),
        shape=conversion.shape,
        job=_job(image_dir, names, images),
        labels=None if labels is None else labels.values[order],
        label_names=() if labels is None else labels.names,
        max_images=images.max_images,
        max_errors=images.max_errors,
        options=options,
    )
    return dataclasses.replace(summary, skipped=tuple(others))


def list_images(image_dir: str) -> tuple[list[str], list[str]]:
    """Returns the sorted paths of image files, and of others, below a folder; skips hidden files.

    A file counts as an image if it has the extension of an image, or none, or if it can be opened
    as one.
    """
    if not os.path.isdir(image_dir):
        raise FileNotFoundError(f"{image_dir}: no such folder of images.")
    readable = {"", *extensions()}
    names: list[str] = []
    others: list[str] = []
    for path in _walk(image_dir, frozenset()):
        is_image = os.path.splitext(path)[1].lower() in readable or _holds_image(path)
        (names if is_image else others).append(os.path.relpath(path, image_dir))
    if not names:
        raise ValueError(f"{image_dir}: no image files in it.")
    return sorted(names), sorted(others)


def _walk(folder: str, above: frozenset[str]) -> Iterator[str]:
    """Yields paths of files in a folder and below; follows no link back to a folder in `above`."""
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_link = entry.is_symlink()
            if os.path.isdir(entry.path) if is_link else entry.is_dir():
                yield from _walk(entry.path, above | {real})
            elif is_link or entry.is_file():  # Reading a pipe would wait forever.
                yield entry.path


def _holds_image(path: str) -> bool:
    try:
        with open_picture(path, pixels=False):
            return True
    except FILE_ERRORS:
        return False


def suggested_command(path: str) -> str | None:
    """Suggests the create_from_images command for a folder; None if it holds no images."""
    try:
        names, _ = list_images(path)
    except (OSError, ValueError):
        return None
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    modes: collections.Counter[str] = collections.Counter()
    for name in names[:: max(len(names) // SURVEYED, 1)]:
        try:
            with open_picture(os.path.join(path, name), pixels=False) as picture:
                sizes[picture.size] += 1
                modes["transparent" if picture.has_transparency_data else picture.mode] += 1
        except FILE_ERRORS:
            continue
    if not sizes:
        return None
    command = ["python", "dataset_tool.py", "create_from_images", _free_name(path), path]
    if len(sizes) > 1 or not has_pyramid(*next(iter(sizes))):
        smallest = sorted(min(size) for size in sizes.elements())[sizes.total() // 10]
        side = 1 << max(min(smallest, MAX_SUGGESTED).bit_length() - 1, MIN_RESOLUTION_LOG2)
        command += [f"--resolution={side}", "--transform=center-crop"]
    if len(modes) > 1 or not set(modes) <= set(PLAIN_MODES):
        command.append("--channels=1" if set(modes) <= {"1", "L", "I;16", "I"} else "--channels=3")
    if "transparent" in modes:
        command.append("--alpha=white")
    return shlex.join(command)


def _free_name(path: str) -> str:
    """Returns datasets/NAME for a folder NAME, or datasets/NAME-2 and so on if that exists."""
    name = os.path.join("datasets", os.path.basename(os.path.abspath(path)))
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not os.path.lexists(name))


@dataclasses.dataclass(frozen=True)
class _LoadFiles:
    """The `load` of a folder; items are paths below it."""

    image_dir: str
    conversion: Conversion

    def __call__(self, names: Sequence[str]) -> Iterator[np.ndarray | Rejected]:
        for name in names:
            path = os.path.join(self.image_dir, name)
            try:
                yield read_picture(path, self.conversion)
            except FILE_ERRORS as error:
                yield Rejected(path, reason(error))


def _conversion(image_dir: str, names: Sequence[str], images: ImageOptions) -> Conversion:
    """Takes the channels and resolution that are not given from the first readable file."""
    if images.channels is not None and images.resolution is not None:
        channels, side = images.channels, images.resolution
    else:
        mode, (width, height), name = _first_picture(image_dir, names, images.max_errors)
        if images.channels is None and mode not in PLAIN_MODES:
            raise ValueError(
                f"{name}: must be stored as RGB or grayscale. "
                f"Received: {mode}. Add --channels=3 or --channels=1 to convert."
            )
        channels = images.channels or PLAIN_MODES[mode]
        if images.resolution is None and width != height:
            raise ValueError(
                f"{name}: width and height must be the same. Received: {width}x{height}. "
                "Add --resolution and --transform to convert."
            )
        side = images.resolution or width
        if images.resolution is None and not has_pyramid(width, height):
            raise ValueError(
                f"{name}: the resolution must be a power of two of at least 4. "
                f"Received: {width}x{height}. Add --resolution and --transform to convert."
            )
    return Conversion(channels, side, images.transform, images.alpha, images.strict)


def _first_picture(
    image_dir: str, names: Sequence[str], max_errors: int
) -> tuple[str, tuple[int, int], str]:
    """Mode, size and path of the first readable file, which `max_errors` others may precede."""
    for place, name in enumerate(names):
        path = os.path.join(image_dir, name)
        try:
            with open_picture(path, pixels=False) as picture:
                return picture.mode, picture.size, path
        except FILE_ERRORS as error:
            if place >= max_errors:
                what = "the file is empty" if not os.path.getsize(path) else reason(error)
                raise ValueError(f"{path}: {what}") from error
    raise ValueError(f"{image_dir}: none of {len(names)} files is an image that can be read.")


def _job(image_dir: str, names: Sequence[str], images: ImageOptions) -> dict[str, object]:
    """Describes the job; one that resumes it must have the same description."""
    options = dataclasses.asdict(images)
    del options["max_errors"]  # A job that met too many is resumed with a higher limit.
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
        "folder of images; without the flags below they must be RGB or gray and all of one size, "
        "square, a power of two",
    )
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")
    add_conversion(p)
    help = (
        "folders: the name of an image's folder is its class; or a .csv, .json or .npy file "
        "(default: unlabelled)"
    )
    p.add_argument("--labels", help=help)
    p.add_argument("--max_images", type=positive, help="images to write at most (default: all)")
    help = "unusable files to skip and list (default: %(default)s)"
    p.add_argument("--max_errors", type=natural, default=0, help=help)


def _run(args: argparse.Namespace, options: Options) -> Summary:
    names = [field.name for field in dataclasses.fields(ImageOptions)]
    chosen = ImageOptions(**{name: getattr(args, name) for name in names})
    return create(args.tfrecord_dir, args.image_dir, chosen, options)
