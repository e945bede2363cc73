"""Patches of 7x7 pixels, cut from images or straight from the bands between two pyramid levels."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

PATCH = 7  # pixels per side. Paper, Section 5
_COARSE = 6  # The expansion of a patch depends on 6x6 pixels of the next level.


def cut(
    images: np.ndarray, image: np.ndarray, y: np.ndarray, x: np.ndarray, size: int = PATCH
) -> np.ndarray:
    """Cuts patches whose first pixel is (image, y, x): [N, H, W, C], 3 x [n] -> [n, size^2 C].

    Indexes whole rows of a patch, whose values are contiguous in memory.
    """
    n, height, width, channels = images.shape
    row = np.dtype((np.void, size * channels * images.itemsize))
    rows = np.ndarray((n, height, width - size + 1), row, images, strides=images.strides[:3])
    found = rows[image[:, None], y[:, None] + np.arange(size), x[:, None]]  # [n, size] rows
    return found.view(images.dtype).reshape(len(image), size * size * channels)


def cut_band(
    fine: np.ndarray,
    coarse: np.ndarray,
    is_finest: bool,
    image: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
) -> np.ndarray:
    """Cuts patches of `pyramid.laplacian_band(fine, coarse)` without computing the band.

    The patches are a small part of a large image. A patch of the expanded `coarse` is a linear
    function of 6x6 pixels; there are four such functions, for even and odd y and x.

    Args:
        fine: uint8 or float32 [N, H, W, C].
        coarse: float32 [N, H/2, W/2, C].
        is_finest: True if `fine` is the image itself: see `laplacian_band`.
        image, y, x: the first pixels of the patches, [n] each.

    Returns:
        float32 [n, 49 C], equal to those of the band to the last bit.
    """
    patches = cut(fine, image, y, x).astype(np.float32)
    dtype: Any = np.float32 if is_finest else np.float64
    padded = np.concatenate([coarse[:, 1:2], coarse, coarse[:, -1:]], axis=1)  # mirrored
    padded = np.concatenate([padded[:, :, 1:2], padded, padded[:, :, -1:]], axis=2)
    for odd_y in (0, 1):
        for odd_x in (0, 1):
            rows = np.flatnonzero((y % 2 == odd_y) & (x % 2 == odd_x))
            small = cut(padded, image[rows], y[rows] // 2, x[rows] // 2, _COARSE)
            expansion = _expansion(odd_y, odd_x, fine.shape[3], dtype)
            patches[rows] -= (small.astype(dtype) @ expansion).astype(np.float32)
    return patches


@functools.cache
def _expansion(odd_y: int, odd_x: int, num_channels: int, dtype: Any) -> np.ndarray:
    """Matrix from 6x6 coarse pixels to the 7x7 of their expansion: [36 C, 49 C]."""
    y, x = _taps(odd_y), _taps(odd_x)
    matrix: np.ndarray = np.kron(y, np.kron(x, np.eye(num_channels))).astype(dtype)
    return matrix


def _taps(odd: int) -> np.ndarray:
    """Expansion along one axis: [6, 7]. Output j is sample j + odd; input 1 lies at sample 0."""
    taps = np.zeros((_COARSE, PATCH))
    for j in range(PATCH):
        middle, rest = divmod(j + odd, 2)
        if rest:
            taps[middle + 1 : middle + 3, j] = 4 / 8  # [1 4 6 4 1] / 8 between two inputs
        else:
            taps[middle : middle + 3, j] = 1 / 8, 6 / 8, 1 / 8  # on an input
    return taps
