"""The damage that the networks learn to undo: JPEG compression, reduction; uint8 [H, W, 3]."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from pgtf.restoration.config import SCALES

QUALITIES = (10, 60)  # range of JPEG qualities to learn from
BLOCK = 8  # side of a JPEG block, pixels
MEASURED_QUALITY = 20  # JPEG quality at which held-out images are measured
FILTERS = tuple(
    getattr(PIL.Image.Resampling, name) for name in ("BICUBIC", "BICUBIC", "LANCZOS", "BOX")
)


def compress(image: np.ndarray, quality: int, subsampling: int = 2) -> np.ndarray:
    """Writes and reads a JPEG file; `subsampling`: 0 = 4:4:4, 2 = 4:2:0."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(PIL.Image.open(buffer))


def reduce(
    image: np.ndarray, resampling: PIL.Image.Resampling = PIL.Image.Resampling.BICUBIC
) -> np.ndarray:
    """Divides width and height by the scale of super-resolution."""
    height, width = (side // SCALES["sr"] for side in image.shape[:2])
    return np.asarray(PIL.Image.fromarray(image).resize((width, height), resampling))


def enlarge(image: np.ndarray, resampling: PIL.Image.Resampling) -> np.ndarray:
    """Multiplies width and height by the scale of super-resolution."""
    height, width = (side * SCALES["sr"] for side in image.shape[:2])
    return np.asarray(PIL.Image.fromarray(image).resize((width, height), resampling))


def pair(
    task: str, image: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a patch out of an image and degrades it.

    Args:
        task: "jpeg" or "sr".
        image: uint8 [H, W, 3], `side` + 8 pixels or more each way.
        side: side of the clean patch, pixels.
        rng: source of this patch's random numbers.

    Returns:
        The degraded and the clean patch: uint8 [side / scale, side / scale, 3] and [side, side, 3].
    """
    extra = BLOCK if task == "jpeg" else 0  # lets blocks begin anywhere in the patch
    top, left = (int(rng.integers(size - side - extra + 1)) for size in image.shape[:2])
    clean = image[top : top + side + extra, left : left + side + extra]
    if rng.integers(2):
        clean = clean.swapaxes(0, 1)
    clean = clean[:: 1 - 2 * int(rng.integers(2)), :: 1 - 2 * int(rng.integers(2))]
    clean = np.ascontiguousarray(clean)
    if task == "sr":
        return reduce(clean, FILTERS[int(rng.integers(len(FILTERS)))]), clean
    degraded = compress(clean, int(rng.integers(*QUALITIES)), int(rng.choice([0, 2, 2])))
    y, x = (int(rng.integers(BLOCK + 1)) for _ in range(2))
    return degraded[y : y + side, x : x + side], clean[y : y + side, x : x + side]
