"""Values of any type -> images of a dataset's own type: uint8, uint16 or float32."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable

import numpy as np
import PIL.Image

from pgtf.dataset.sources.pictures import Transform, fit
from pgtf.dataset.sources.ranges import Range, scaled, two_numbers
from pgtf.foreign.samples import UINT16_MAX

# Values at these percentiles of a whole set become -1 and 1: a few hot pixels set no range.
PERCENTILES = (0.1, 99.9)
POOLED = 1 << 24  # values of a whole set that its percentiles are taken from, at most
SAMPLED, MIN_SAMPLED = 1 << 14, 64  # values per image: at most, and at least if there are so many
DIGITS = 6  # of the width of a range; machines may differ in those that follow
UINT8_MAX = 255
LARGEST = 1e30  # differences and products of such values are finite in float32
FINEST = 2.0**-14  # of its larger bound: a narrower range leaves float32 fewer than 1,024 steps


def parse_percentiles(text: str) -> Range:
    """Parses LOW,HIGH of 0 to 100, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    low, high = two_numbers(text)
    if not 0 <= low < high <= 100:
        raise argparse.ArgumentTypeError(
            "must be LOW,HIGH, two numbers of 0 to 100 with LOW < HIGH, such as 0.1,99.9. "
            f"Received: {text!r}"
        )
    return low, high


def check_finite(values: np.ndarray) -> None:
    """Raises ValueError for values that are no numbers, infinite, or too large to compute with."""
    if values.dtype.kind != "f":
        return
    if not np.isfinite(values).all():
        what = "not numbers (NaN)" if np.isnan(values).any() else "infinite"
        raise ValueError(f"has values that are {what}")
    if values.size and max(float(values.max()), -float(values.min())) > LARGEST:
        raise ValueError(f"has values beyond {LARGEST:g}, as marks of missing pixels are")


def sampled(values: np.ndarray, num_images: int) -> np.ndarray:
    """Evenly spaced values of one image of a set of so many: [...] -> float32 [n]."""
    limit = min(max(POOLED // num_images, MIN_SAMPLED), SAMPLED)
    flat = values.reshape(-1)
    if flat.size > limit:
        # A whole step could meet one channel only.
        flat = flat[np.linspace(0, flat.size - 1, limit).astype(np.int64)]
    return flat.astype(np.float32)


def percentile_range(
    samples: Iterable[np.ndarray], extent: Range, percentiles: Range, dtype: str
) -> Range:
    """Range of a whole set: the values at two percentiles.

    Args:
        samples: see `sampled`.
        extent: lowest and highest value of the set, which are taken where most values are equal.
        percentiles: 0 to 100.
        dtype: type of the dataset; those of integers have whole numbers as bounds.

    Raises:
        ValueError: all values are the same, or float32 cannot tell them apart.
    """
    low, high = np.percentile(np.concatenate(list(samples)), percentiles).tolist()
    if not low < high:
        low, high = extent
    if not low < high:
        raise ValueError(f"all values are the same, {low:g}")
    if dtype == "float32":
        check_resolved((low, high))
        # Bounds that are close to each other share their first digits.
        shared = math.ceil(math.log10(max(-low, high) / (high - low)))
        digits = DIGITS + max(shared, 0)
        return float(f"{low:.{digits}g}"), float(f"{high:.{digits}g}")
    return float(np.floor(low)), float(np.ceil(high))


def check_resolved(value_range: Range) -> None:
    """Raises ValueError for a range of which float32 cannot tell the values apart."""
    low, high = value_range
    if high - low < max(FINEST * max(-low, high), 1 / LARGEST):
        raise ValueError(
            f"values of {low:.9g} to {high:.9g} are too close to each other for float32; subtract "
            "a constant from the values of all files, or multiply them"
        )


def full_range(dtype: str, extent: Range) -> Range:
    """Range of values whose type tells it: that of integers is all of the type's."""
    return extent if dtype == "float32" else (0.0, float(np.iinfo(dtype).max))


def to_stored(
    values: np.ndarray,
    size: tuple[int, int],
    dtype: str,
    transform: Transform = "none",
    value_range: Range | None = None,
    bars: float | None = None,
) -> np.ndarray:
    """Fits an image to a size, and converts it to a dataset's type: [H, W, C] -> [C, H, W].

    Args:
        values: of any type of number.
        size: height and width.
        dtype: uint16 and float32 keep the values; uint8 stretches `value_range` to 0 to 255.
        transform: treatment of images of another size.
        value_range: of uint8; None = the values are 0 to 255 already.
        bars: value of the bars of `transform` pad; None = the lowest of the range, or 0.

    Raises:
        ValueError: a value is no number, or not one of the type's, or the size is another.
    """
    check_finite(values)
    fitted = fit_values(values, size, transform, (value_range or (0,))[0] if bars is None else bars)
    if dtype == "float32":
        return np.ascontiguousarray(fitted.transpose(2, 0, 1), np.float32)
    if dtype == "uint8" and value_range is not None:
        return scaled(fitted, value_range).transpose(2, 0, 1)
    highest = UINT16_MAX if dtype == "uint16" else UINT8_MAX
    if fitted is not values:  # Lanczos' filter overshoots at edges.
        fitted = np.rint(fitted).clip(0, highest)
    low, high = values.min(), values.max()
    if low < 0 or high > highest or (values.dtype.kind == "f" and (values % 1).any()):
        raise ValueError(
            f"must have whole numbers of 0 to {highest} for --dtype={dtype}, found values of "
            f"{low:g} to {high:g}; --dtype=float32 keeps them"
        )
    return np.ascontiguousarray(fitted.transpose(2, 0, 1), dtype)


def fit_values(
    values: np.ndarray,
    size: tuple[int, int],
    transform: Transform,
    bars: float = 0.0,
    nearest: bool = False,
) -> np.ndarray:
    """Gives an image [H, W, C] of any type another size, as `pictures.fit` does for pictures.

    Args:
        values: any type of number; the same array is returned if it has the size.
        size: height and width.
        transform: "none" = the size must be this one.
        bars: value of the bars of "pad".
        nearest: take the nearest pixel, as for masks; otherwise the filter is Lanczos'.

    Raises:
        ValueError: it has another size, and `transform` is "none".
    """
    if values.shape[:2] == size:
        return values
    if transform == "none":
        raise ValueError(
            f"must be {size[0]}x{size[1]} (height x width) like the others, found "
            f"{values.shape[0]}x{values.shape[1]}; --resolution and --transform convert"
        )
    filter_ = PIL.Image.Resampling.NEAREST if nearest else PIL.Image.Resampling.LANCZOS
    planes = [
        fit(PIL.Image.fromarray(plane), size, transform, bars, filter_)
        for plane in np.moveaxis(values.astype(np.float32), 2, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)
