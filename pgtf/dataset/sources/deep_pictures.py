"""Image files -> values of more than 8 bits, as they are stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageColor

from pgtf.dataset.sources.deep import (
    UINT8_MAX,
    check_finite,
    to_stored,
)
from pgtf.dataset.sources.pictures import Conversion, bar_color, refuse_transparency, to_srgb
from pgtf.dataset.sources.ranges import to_8_bits
from pgtf.foreign.pictures import open_picture, orientation
from pgtf.foreign.samples import UINT16_MAX, samples

UINT16_STEP = UINT16_MAX // UINT8_MAX  # white of 8 bits becomes that of 16
LUMINANCE = np.array([299, 587, 114]) / 1000  # ITU-R BT.601, as Pillow
# EXIF orientation -> what makes [H, W, C] upright, as `pictures.TURNS` does for pictures.
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


def read_deep(path: str, conversion: Conversion, page: int = 0) -> np.ndarray:
    """Reads a file, or one page of it: -> [C, H, W] of the conversion's type.

    Raises:
        ValueError, OSError: the file cannot be used.
    """
    values, highest = read_values(path, conversion, page)
    color = PIL.ImageColor.getrgb(bar_color(conversion.pad, conversion.alpha))
    bars = float(LUMINANCE @ color[:3]) / UINT8_MAX * highest  # gray, as all bars of deep images
    return to_stored(
        values, conversion.size, conversion.dtype, conversion.transform, None, round(bars)
    )


def read_values(path: str, conversion: Conversion, page: int = 0) -> tuple[np.ndarray, float]:
    """Values of a file [H, W, C], upright and opaque, and that of full light."""
    with open_picture(path, max_pixels=conversion.max_pixels, page=page) as file:
        deep = samples(file)
        if deep is None:
            values, opacity, highest = _from_8_bits(file, conversion.dtype)
        else:
            values, opacity = deep.values, deep.opacity
            check_finite(values)
            highest = float(values.max()) if deep.highest is None else float(deep.highest)
            if deep.is_inverted:
                values = deep.highest - values if deep.highest is not None else -values
        turn = TURNS.get(orientation(file))
    values = values[..., np.newaxis] if values.ndim == 2 else values
    if opacity is not None and opacity.min() < UINT8_MAX:
        refuse_transparency(conversion.alpha)
        if conversion.alpha != "drop":
            share = opacity[..., np.newaxis] / UINT8_MAX
            back = highest if conversion.alpha == "white" else 0.0
            values = np.rint(values * share + back * (1 - share))
    if conversion.strict and values.shape[2] != conversion.channels:
        kinds = {1: "grayscale", 3: "RGB"}
        raise ValueError(
            f"must be {kinds[conversion.channels]} like the others, found "
            f"{kinds[values.shape[2]]}; --channels converts"
        )
    values = _with_channels(values, conversion.channels)
    return (values if turn is None else turn(values)), highest


def _from_8_bits(file: PIL.Image.Image, dtype: str) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Values, opacity and full light of a picture of 8 bits; uint16 stretches them."""
    plain = to_srgb(to_8_bits(file, None))
    if plain.mode == "CMYK":
        plain = plain.convert("RGB")
    pixels = np.asarray(plain)
    opacity = pixels[..., -1] if plain.mode in ("LA", "RGBA") else None
    values = pixels if opacity is None else pixels[..., :-1]
    step = UINT16_STEP if dtype == "uint16" else 1
    return values.astype(np.uint16) * step, opacity, float(UINT8_MAX * step)


def _with_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """Converts between gray and RGB."""
    if values.shape[2] == channels:
        return values
    if channels == 3:
        return np.broadcast_to(values, (*values.shape[:2], 3))
    gray = values.astype(np.float64) @ LUMINANCE
    return (np.rint(gray) if values.dtype.kind in "iu" else gray)[..., np.newaxis]
