"""Stored values of pictures -> 8 bits: the range that becomes black to white."""

from __future__ import annotations

import argparse
from typing import Literal

import numpy as np
import PIL.Image

from pgtf.foreign.samples import STRIP, UINT16_MAX, Samples, round_16_bits, samples

Range = tuple[float, float]  # values that become black and white
WHITE = 255


class NoRange(ValueError):
    """Raised for numbers of a type that does not tell which are black and white."""


def parse_range(text: str) -> Range:
    """Parses LOW,HIGH, for argparse.

    Raises:
        argparse.ArgumentTypeError: it is something else.
    """
    low, high = two_numbers(text)
    if not (np.isfinite([low, high]).all() and low < high):
        raise argparse.ArgumentTypeError(
            f"must be LOW,HIGH, two numbers with LOW < HIGH, such as 0,4095. Received: {text!r}"
        )
    return low, high


def two_numbers(text: str) -> Range:
    """Parses two numbers with a comma; (nan, nan), which no comparison accepts, for other texts."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        return np.nan, np.nan
    return low, high


def parse_range_or_auto(text: str) -> Range | Literal["auto"]:
    """Parses LOW,HIGH or auto, for argparse."""
    return "auto" if text == "auto" else parse_range(text)


def to_8_bits(picture: PIL.Image.Image, value_range: Range | None) -> PIL.Image.Image:
    """Converts other bit depths and palettes to L, LA, RGB, RGBA or CMYK.

    Args:
        picture: opened by `pgtf.foreign.pictures`.
        value_range: stored values that become 0 and 255; what lies outside becomes the nearer one.
            None = the whole range of the type of number.

    Raises:
        NoRange: the type of number has no range of its own, and none is given.
        ValueError: some values are not numbers.
    """
    deep = samples(picture)
    if deep is not None:
        plain = _from_samples(deep, value_range)
    else:
        plain = _from_8_bits(picture)
        if value_range is not None and plain.mode != "CMYK":
            plain = plain.point(_table(plain.mode, value_range))
    if profile := picture.info.get("icc_profile"):
        plain.info["icc_profile"] = profile
    return plain


def extent(picture: PIL.Image.Image) -> tuple[float, float, float | None]:
    """Lowest and highest finite value of a picture, and the value of full light in its type."""
    deep = samples(picture)
    if deep is None:
        values = np.asarray(_from_8_bits(picture).convert("L" if _is_gray(picture) else "RGB"))
        return float(values.min()), float(values.max()), WHITE
    values = deep.values
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return np.inf, -np.inf, deep.highest
    return float(values.min()), float(values.max()), deep.highest


def _from_8_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    picture.load()
    if picture.has_transparency_data and picture.mode != "LA":
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if picture.mode in ("L", "LA", "RGB", "CMYK"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _is_gray(picture: PIL.Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA")


def _table(mode: str, value_range: Range) -> list[int]:
    """Table for Pillow's `point`, which leaves opacity as it is."""
    table = scaled(np.arange(256), value_range).tolist()
    opacity = list(range(256)) if mode in ("LA", "RGBA") else []
    return table * (len(mode) - bool(opacity)) + opacity


def _from_samples(deep: Samples, value_range: Range | None) -> PIL.Image.Image:
    if value_range is None and deep.highest is None:
        kind = "floating-point" if deep.values.dtype.kind == "f" else str(deep.values.dtype)
        raise NoRange(f"{kind} images have no known range; --range=LOW,HIGH says it")
    if value_range is None and deep.highest == UINT16_MAX:
        pixels = round_16_bits(deep.values)
    else:
        pixels = scaled(deep.values, value_range or (0, deep.highest))  # type: ignore[arg-type]
    if deep.is_inverted:
        pixels = WHITE - pixels
    if deep.opacity is not None:
        pixels = np.dstack([pixels, deep.opacity])
    return PIL.Image.fromarray(pixels)


def scaled(values: np.ndarray, value_range: Range) -> np.ndarray:
    """Maps LOW to 0 and HIGH to 255, rounds half to even: [H, ...] -> uint8 [H, ...].

    Raises:
        ValueError: a value is not a number.
    """
    low, high = value_range
    result = np.empty(values.shape, np.uint8)
    step = max(STRIP // max(values[0].size, 1), 1)
    for start in range(0, len(values), step):
        rows = values[start : start + step].astype(np.float64)
        if np.isnan(rows).any():
            raise ValueError("has values that are not numbers (NaN)")
        result[start : start + step] = np.rint((rows.clip(low, high) - low) * WHITE / (high - low))
    return result
