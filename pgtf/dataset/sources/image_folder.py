"""Image files of a folder as arrays, without making a dataset of them."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import PIL.Image
from tqdm import tqdm

from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import (
    GRAY_MODES,
    Alpha,
    Transform,
    bar_color,
    fit,
    to_plain,
)
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.reading import read_or_refuse
from pgtf.foreign.limits import MAX_PIXELS
from pgtf.foreign.pictures import open_picture
from pgtf.foreign.terminal import one_line

REMEDY = "Replace or remove the file."
__all__ = ["Alpha", "Fitting", "ImageFolder", "Transform", "open_image_folder"]


@dataclasses.dataclass(frozen=True)
class Fitting:
    """Options of the conversion, named and meant as those of create_from_images."""

    channels: int | None = None  # 1 or 3; None = 3 if any file has colors, otherwise 1
    resolution: int | None = None  # pixels per side; None = the size of the files
    transform: Transform = "none"  # fits images of another size to the resolution
    alpha: Alpha = "error"  # treatment of transparent pixels
    pad: str | None = None  # color of the bars of `transform` pad; None = that of `alpha`, or black
    value_range: Range | None = None  # stored values that become black and white
    max_pixels: int = MAX_PIXELS  # of a file

    def __post_init__(self) -> None:
        if self.transform != "none" and self.resolution is None:
            raise ValueError(
                f"`transform` needs a resolution. Received: transform={self.transform}. "
                "Add, for example, --resolution=256."
            )


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """Image files that are read as uint8 [H, W, C]; `open_image_folder` fills it."""

    paths: tuple[str, ...]  # sorted
    shape: tuple[int, int, int]  # (H, W, C)
    fitting: Fitting
    size_of: str  # file or flag that the size comes from
    num_converted: int  # files with another number of channels
    num_skipped: int  # files that are no images

    def read(self, begin: int, end: int) -> np.ndarray:
        """Reads files by number: -> uint8 [end - begin, H, W, C].

        Raises:
            ValueError: names a file that is damaged or does not fit, and the remedy.
        """
        height, width, channels = self.shape
        images = np.empty((end - begin, *self.shape), np.uint8)
        for image, path in zip(images, self.paths[begin:end], strict=True):
            fitting = self.fitting
            picture = _plain_picture(path, fitting).convert("L" if channels == 1 else "RGB")
            if fitting.transform != "none":
                bars = bar_color(fitting.pad, fitting.alpha)
                picture = fit(picture, (height, width), fitting.transform, bars)
            _check_size(path, picture.size, (width, height), self.size_of)
            image[:] = np.asarray(picture).reshape(self.shape)
        return images


def open_image_folder(folder: str, fitting: Fitting, progress: bool = False) -> ImageFolder:
    """Finds the images that create_from_images would find, and reads the kind of each.

    Files in folders below count, hidden ones do not, files that are no images are skipped. As with
    `create_from_images --channels=...`, pictures are turned upright, and those with 16 bits or a
    color profile become 8-bit sRGB. Gray pictures among colors become RGB.

    Args:
        folder: the folder.
        fitting: options of the conversion.
        progress: show a progress bar.

    Raises:
        OSError: there is no such folder.
        ValueError: it holds no images, or names a file that cannot be used, and the remedy.
    """
    names, others = list_images(folder)
    paths = tuple(os.path.join(folder, name) for name in names)
    if fitting.resolution is None:
        size_of = paths[0]
        width, height = _plain_picture(paths[0], fitting).size
    else:
        size_of = f"--resolution={fitting.resolution}"
        width = height = fitting.resolution
    count = {1: 0, 3: 0}
    for path in tqdm(paths, desc=f"files of {one_line(folder)}", unit="file", disable=not progress):
        channels, size = _kind(path, fitting.max_pixels)
        count[channels] += 1
        # The picture may have to be turned by 90 degrees.
        if fitting.transform == "none" and sorted(size) != sorted((width, height)):
            _check_size(path, size, (width, height), size_of)
    channels = fitting.channels or (3 if count[3] else 1)
    return ImageFolder(
        paths=paths,
        shape=(height, width, channels),
        fitting=fitting,
        size_of=size_of,
        num_converted=len(paths) - count[channels],
        num_skipped=len(others),
    )


def _kind(path: str, max_pixels: int) -> tuple[int, tuple[int, int]]:
    """Channels and (width, height) of a file, without decoding its pixels."""

    def look() -> tuple[int, tuple[int, int]]:
        with open_picture(path, pixels=False, max_pixels=max_pixels) as picture:
            return 1 if picture.mode in GRAY_MODES else 3, picture.size

    return read_or_refuse(path, look, REMEDY)


def _plain_picture(path: str, fitting: Fitting) -> PIL.Image.Image:
    def read() -> PIL.Image.Image:
        with open_picture(path, max_pixels=fitting.max_pixels) as picture:
            return to_plain(picture, fitting.alpha, fitting.value_range)

    return read_or_refuse(path, read, REMEDY)


def _check_size(path: str, size: tuple[int, int], wanted: tuple[int, int], size_of: str) -> None:
    if size != wanted:
        raise ValueError(
            f"{path}: must have {wanted[0]}x{wanted[1]} pixels, as {size_of}. "
            f"Received: {size[0]}x{size[1]}. Add, for example, "
            f"--resolution={min(wanted)} --transform=center-crop."
        )
