"""Arguments of the Python interface: seeds, latent vectors, images to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from pgtf import images as pixels
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.foreign.messages import shown

Seeds = int | Iterable[int] | NDArray[Any]
DEFAULT_SEEDS = range(16)
SHOWN_SIDE = 512  # pixels that the longer side of a grid has about, unless `zoom` is given


def numbers_of(seeds: Seeds) -> NDArray[np.int64]:
    """Reads seeds: one number, or N of them -> int64 [N].

    Raises:
        ValueError: if they are no integers of 64 bits.
    """
    if isinstance(seeds, Iterable) and not isinstance(seeds, str | np.ndarray):
        seeds = list(seeds)
    values = np.asarray(seeds)
    if values.size == 0:
        return np.zeros(0, np.int64)
    largest = np.iinfo(np.int64).max
    if values.dtype.kind not in "iu" or values.ndim > 1 or values.max() > largest:
        what = f"{values.dtype} {list(values.shape)}" if values.ndim else shown(seeds)
        raise ValueError(f"`seeds` must be integers of 64 bits: [N]. Received: {what}.")
    return np.atleast_1d(values).astype(np.int64)


def vector_of(name: str, values: Any, size: int) -> NDArray[np.float32]:
    """Reads one latent vector: [size] -> float32 [1, size].

    Raises:
        ValueError: if it has another shape or is not finite.
    """
    try:
        vector = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be numbers: [{size}]. Received: {shown(values)}."
        ) from None
    if vector.shape != (size,):
        raise ValueError(f"`{name}` must be [{size}]. Received: {list(vector.shape)}.")
    if not np.isfinite(vector).all():
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity.")
    return vector[np.newaxis]


def grid_of(
    images: Any, columns: int | None, zoom: int | None, depth: Depth = EIGHT_BITS
) -> PIL.Image.Image:
    """Tiles images [N, H, W, C], or one [H, W, C], and enlarges them: see `Networks.show`.

    Raises:
        ValueError: if these are no images, or a number is below 1.
    """
    for name, value in (("columns", columns), ("zoom", zoom)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")
    values = np.asarray(images)
    values = values[np.newaxis] if values.ndim == 3 else values
    if values.ndim != 4 or not len(values) or values.dtype.kind not in "uf":
        raise ValueError(
            f"`images` must be [N, H, W, C] or [H, W, C], {depth.dtype} or float in [-1, 1]. "
            f"Received: {values.dtype} {list(values.shape)}."
        )
    own = values.dtype == depth.dtype
    values = depth.shown_values(values) if own else Depth(preview=depth.preview).picture(values)
    size = None
    if columns is not None:
        columns = min(columns, len(values))
        size = columns, -(-len(values) // columns)
    tiled = pixels.image_grid(values, size, pixels.MID_GRAY)
    if zoom is None:
        zoom = max(round(SHOWN_SIDE / max(tiled.shape[:2])), 1)
    return pixels.to_pil(tiled.repeat(zoom, 0).repeat(zoom, 1))
