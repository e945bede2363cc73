"""Pictures of 8 bits to look at, of images of any type and number of channels.

A mapping says which channels are shown: "0" is one of them in gray, "3,2,1" are red, green and
blue, and the name of a color map of matplotlib, such as "viridis", colors the first channel.
"""

from __future__ import annotations

import re

import numpy as np

from pgtf.images import UINT8_DRANGE, to_model, to_uint8
from pgtf.installation import missing_message

CHANNELS = re.compile(r"\d{1,2}(?:,\d{1,2},\d{1,2})?")
NAME = re.compile(r"[A-Za-z][\w.]*")
SHADES = 256  # colors of a map


def check_mapping(mapping: str, num_channels: int | None = None) -> str:
    """Returns a mapping as it is.

    Args:
        mapping: see above.
        num_channels: of the images; None = not known yet.

    Raises:
        ValueError: it is none, or names channels that the images lack.
    """
    if not CHANNELS.fullmatch(mapping):
        if not NAME.fullmatch(mapping):
            raise ValueError(
                "`preview` must be one channel or three, such as 0 or 3,2,1, or the name of a "
                f"color map, such as viridis. Received: {mapping[:40]!r}."
            )
        _colors(mapping)
    elif num_channels is not None and max(map(int, mapping.split(","))) >= num_channels:
        raise ValueError(
            f"`preview` must name channels from 0 to {num_channels - 1}. Received: {mapping}."
        )
    return mapping


def to_rgb(
    images: np.ndarray,
    value_range: tuple[float, float] = UINT8_DRANGE,
    mapping: str | None = None,
) -> np.ndarray:
    """Values of a dataset [..., H, W, C] -> uint8 [..., H, W, 3], or [..., H, W, 1] if gray.

    Args:
        images: of uint8, uint16 or float32.
        value_range: values that become black and white; others become the nearer of these.
        mapping: see above; None = the first three channels, or the first one if there are fewer.

    Raises:
        ValueError: the mapping is wrong.
    """
    num_channels = images.shape[-1]
    if mapping is None:
        mapping = "0,1,2" if num_channels >= 3 else "0"
    check_mapping(mapping, num_channels)
    is_map = not CHANNELS.fullmatch(mapping)
    chosen = [0] if is_map else [int(number) for number in mapping.split(",")]
    if chosen != [*range(num_channels)]:
        images = images[..., chosen]
    if images.dtype != np.uint8 or tuple(value_range) != UINT8_DRANGE:
        images = to_uint8(to_model(images, value_range))
    return _colors(mapping)[images[..., 0]] if is_map else images


def _colors(name: str) -> np.ndarray:
    """Colors of a map: uint8 [SHADES, 3]."""
    try:
        import matplotlib
    except ImportError:
        message = missing_message(["matplotlib"])
        raise ValueError(f"The color map {name} needs matplotlib: {message}") from None
    if name not in matplotlib.colormaps:
        raise ValueError(
            "`preview` must be the name of a color map of matplotlib, such as viridis, gray or "
            f"bone. Received: {name[:40]!r}."
        )
    colors: np.ndarray = matplotlib.colormaps[name].resampled(SHADES)(np.arange(SHADES), bytes=True)
    return colors[:, :3]
