"""TIFF files of several pages or many channels as stacks of images, by the package tifffile."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.stacks import MAX_BYTES, Reading, Stack, of_array

CHANNEL_AXES = "CS"  # tifffile's names: channels, samples
WHITE_IS_ZERO = 0  # a photometric interpretation


def open_tiff_stack(path: str, reading: Reading) -> Stack:
    """Opens a TIFF file: its pages are images, or its planes are channels where it says so.

    Of several series only those of the shape of the first count: others are smaller copies.

    Raises:
        OSError, ValueError: it cannot be read, or holds no images.
    """
    tifffile = import_optional("tifffile", "tifffile")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # Its errors are ours.
    try:
        with tifffile.TiffFile(path) as file:
            series = [x for x in file.series if x.shape == file.series[0].shape]
            if sum(x.nbytes for x in series) > MAX_BYTES:
                raise ValueError(f"must have at most {MAX_BYTES >> 30} GiB of values")
            images = np.concatenate([_images(x) for x in series])
    except (OSError, ValueError):
        raise
    except Exception as error:  # A damaged file raises nearly anything.
        what = " ".join(str(error).split())[:100]
        raise ValueError(f"damaged ({type(error).__name__}: {what})") from None
    return of_array(images, images.nbytes)


def _images(series: Any) -> np.ndarray:
    """Values of a series, [N, H, W, C]."""
    axes = series.axes
    if "Y" not in axes or "X" not in axes:
        raise ValueError(f"must have rows and columns, found the axes {axes}")
    values: np.ndarray = series.asarray()
    if values.dtype.kind not in "fiub":
        raise ValueError(f"must have numbers, found {values.dtype}")
    page = series.keyframe
    if page.photometric == WHITE_IS_ZERO and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    channels = [axis for axis, name in enumerate(axes) if name in CHANNEL_AXES]
    plane = [axes.index("Y"), axes.index("X")]
    others = [axis for axis in range(values.ndim) if axis not in (*channels, *plane)]
    values = values.transpose(*others, *plane, *channels)
    height, width = (series.shape[axis] for axis in plane)
    return values.reshape(-1, height, width, math.prod(series.shape[axis] for axis in channels))
