"""TIFF files of several pages or many channels as stacks of images, by the package tifffile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pgtf.dataset.isolated import Isolation
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.stacks import (
    MAX_BYTES,
    Reading,
    Stack,
    Unusable,
    errors_of,
    memory_for,
    of_array,
)

CHANNEL_AXES = "CS"  # tifffile's names: channels, samples
WHITE_IS_ZERO, PALETTE = 0, 3  # photometric interpretations
NO_DATA = "GDAL_NODATA"  # tag of maps: the value of pixels that have none


def open_tiff_stack(path: str, reading: Reading) -> Stack:
    """Opens a TIFF file: its pages are images, or its planes are channels where it says so.

    Of several series only those of the shape of the first count: others are smaller copies.
    Another process reads it, because compressed pages may unpack to any size.

    Raises:
        OSError, ValueError: it cannot be read, or holds no images.
    """
    import_optional("tifffile", "tifffile")
    images = _ISOLATION(path, reading.is_mask, max_bytes=memory_for(path))
    return of_array(images, images.nbytes)


def read_tiff(path: str, is_mask: bool = False) -> np.ndarray:
    """Reads the images of a file, [N, H, W, C]; those of masks as they are stored.

    Raises:
        MemoryError, OSError, ValueError: it cannot be read, or holds no images.
    """
    tifffile = import_optional("tifffile", "tifffile")
    with errors_of("TIFF", "tifffile"), tifffile.TiffFile(path) as file:
        series = [x for x in file.series if x.shape == file.series[0].shape]
        if sum(x.nbytes for x in series) > MAX_BYTES:
            raise Unusable(f"must have at most {MAX_BYTES >> 30} GiB of values")
        return np.concatenate([_images(x, is_mask) for x in series])


_ISOLATION = Isolation(read_tiff)  # of this process


def _images(series: Any, is_mask: bool) -> np.ndarray:
    """Values of a series, [N, H, W, C]."""
    axes = series.axes
    if "Y" not in axes or "X" not in axes:
        raise Unusable(f"must have rows and columns, found the axes {axes}")
    page = series.keyframe
    values = _decoded(series, page)
    if values.dtype.kind not in "fiub":
        raise Unusable(f"must have numbers, found {values.dtype}")
    if not is_mask:
        _check_pixels(page, values)
        if page.photometric == WHITE_IS_ZERO and values.dtype.kind in "bu":
            values = ~values  # the highest of the type minus the value
    channels = [axis for axis, name in enumerate(axes) if name in CHANNEL_AXES]
    plane = [axes.index("Y"), axes.index("X")]
    others = [axis for axis in range(values.ndim) if axis not in (*channels, *plane)]
    values = values.transpose(*others, *plane, *channels)
    height, width = (series.shape[axis] for axis in plane)
    return values.reshape(-1, height, width, math.prod(series.shape[axis] for axis in channels))


def _decoded(series: Any, page: Any) -> np.ndarray:
    """Unpacks the values of a series; names the package if one is missing."""
    try:
        values: np.ndarray = series.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        name = getattr(page.compression, "name", page.compression)
        raise Unusable(f"its compression, {name}, needs a package: imagecodecs") from None
    return values


def _check_pixels(page: Any, values: np.ndarray) -> None:
    """Raises ValueError for numbers of colors, and for pixels without data.

    The value that means the latter passes if it is 0, which is often a real value as well.
    """
    if page.photometric == PALETTE:
        raise Unusable("must be gray or of channels, found a palette; create_from_images reads it")
    try:
        nodata = float(page.tags[NO_DATA].value)
    except (KeyError, TypeError, ValueError):
        return
    if nodata and (num := int((values == nodata).sum())):
        raise Unusable(f"has {num} pixels without data, which are {nodata:g} ({NO_DATA})")
