"""NIfTI volumes as stacks of slices, by the package nibabel."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import PIL.Image

from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.stacks import (
    MAX_BYTES,
    Place,
    Reading,
    Stack,
    Unusable,
    check_packing,
    errors_of,
)
from pgtf.foreign.limits import MAX_PIXELS

AXES = "xyz"  # from left to right, from back to front, from bottom to top
SAME_SPACING = 1e-3  # relative difference up to which pixels count as square
COLORS = ("R", "G", "B")


def open_nifti(path: str, reading: Reading) -> Stack:
    """Opens a volume, turned to the closest canonical orientation (RAS+).

    An image is a slice across `reading.axis`; its rows are the first of the other two axes. Pixels
    that are not square are resampled to the smaller side. The volumes of a series follow each
    other; a fifth axis holds channels.

    Raises:
        OSError, ValueError: it cannot be read, or is no volume of numbers.
    """
    nibabel = import_optional("nibabel", "nibabel")
    with _errors():
        image = _header(nibabel, path)
        _check_length(image, path)
        image = nibabel.as_closest_canonical(image)
        spacing = nibabel.affines.voxel_sizes(image.affine)
        values = _volumes(np.asanyarray(image.dataobj))
    axis = AXES.index(reading.axis)
    rows, columns = (spacing[other] for other in range(3) if other != axis)
    sides = [values.shape[other] for other in range(3) if other != axis]
    size = _resampled_size((sides[0], sides[1]), (rows, columns))
    per_volume = values.shape[axis]

    def read(number: int) -> np.ndarray:
        volume, place = divmod(number, per_volume)
        with _errors():  # A mapped file is read now.
            where = tuple(place if other == axis else slice(None) for other in range(3))
            plane = np.array(values[(*where, volume)])
        return _nearest(plane, size) if reading.is_mask else _resampled(plane, size)

    return Stack(
        num=per_volume * values.shape[3],
        shape=(*size, values.shape[4]),
        read=read,
        num_bytes=0 if isinstance(values, np.memmap) else values.nbytes,
        is_volume=True,
        place=Place(image.affine, values.shape[:3]),
    )


def _header(nibabel: Any, path: str) -> Any:
    """Opens a file of either version, not what else has its extension: CIFTI holds XML."""
    try:
        return nibabel.Nifti1Image.from_filename(path)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError):
        return nibabel.Nifti2Image.from_filename(path)


def _check_length(image: Any, path: str) -> None:
    """Raises ValueError for more values than a file can hold."""
    num_values = int(np.prod(image.shape, dtype=np.float64))
    if num_values * 8 > MAX_BYTES:
        raise Unusable(f"must have at most {MAX_BYTES >> 30} GiB of values")
    slope, intercept = image.header.get_slope_inter()
    is_scaled = (slope, intercept) not in ((None, None), (1, 0))
    size = image.header.get_data_dtype().itemsize
    if path.lower().endswith(".gz"):
        num_bytes = num_values * max(size, 8 if is_scaled else 0)
        check_packing(num_bytes, os.stat(path).st_size, "; unpack it with gunzip")


def _volumes(values: np.ndarray) -> np.ndarray:
    """Arranges an image of up to five axes as [X, Y, Z, volumes, C].

    Raises:
        ValueError: it has more axes, or no numbers.
    """
    if values.dtype.names:
        if not {*COLORS} <= {*values.dtype.names}:
            raise Unusable(f"must have numbers or colors, found {values.dtype.names}")
        values = np.stack([values[name] for name in COLORS], axis=-1)
    elif values.ndim != 5:
        values = values[..., np.newaxis]
    if values.dtype.kind not in "fiu":
        raise Unusable(f"must have real numbers, found {values.dtype}")
    *sides, channels = values.shape
    while len(sides) > 4 and sides[-1] == 1:
        sides.pop()
    if len(sides) > 4 or not values.size:
        raise Unusable(f"must have up to 5 axes, found {[*sides]}")
    return values.reshape(*sides, *(1,) * (4 - len(sides)), channels)


def _resampled_size(size: tuple[int, int], spacing: tuple[float, float]) -> tuple[int, int]:
    smaller = min(spacing)
    if not smaller > 0 or max(spacing) / smaller - 1 < SAME_SPACING:
        return size
    height, width = (round(n * step / smaller) for n, step in zip(size, spacing, strict=True))
    if height * width > MAX_PIXELS:
        raise Unusable(
            f"must have pixels that are nearly square, found {spacing[0]:g}x{spacing[1]:g}"
        )
    return height, width


def _resampled(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges [H, W, C] linearly, which makes no values beyond those that it has."""
    if plane.shape[:2] == size:
        return plane
    layers = [
        PIL.Image.fromarray(layer).resize(size[::-1], PIL.Image.Resampling.BILINEAR)
        for layer in np.moveaxis(plane.astype(np.float32), 2, 0)
    ]
    found = np.stack([np.asarray(layer) for layer in layers], axis=2)
    return np.rint(found).astype(plane.dtype) if plane.dtype.kind in "iu" else found


def _nearest(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges [H, W, C] by the nearest pixel, which makes no values that it has not."""
    places = [
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for old, new in zip(plane.shape, size, strict=False)
    ]
    return plane[np.ix_(*places)]


def _errors() -> contextlib.AbstractContextManager[None]:
    """Context manager for all that uses nibabel, which repairs headers aloud."""
    return errors_of("NIfTI", "nibabel", "nibabel.global")
