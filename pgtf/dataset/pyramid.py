"""Copies of images at every level down to the grid, bit for bit those of the original release.

Each level is the 2x2 mean of the finer one *before* rounding; stored pixels are rounded half to
even. The original computes the means in float32. We keep sums instead, which differ by a power of
four only: for uint8 in uint16 as long as they fit, which is exact and several times faster, then in
float32; for uint16 in 64 bits, which is exact; for float32 in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pgtf.dataset.description import PAPER_GRID
from pgtf.grids import MAX_SIDE, MIN_RESOLUTION_LOG2, Grid

UINT16_LEVELS = 4  # 255 * 4^4 < 2^16
CACHED_BYTES = 1 << 19  # pixels halved at a time, so that sums stay in the cache of a core
MIN_CELLS = 12  # pixels of the smallest grid that is suggested: 4x3


def has_pyramid(width: int, height: int, grid: Grid = PAPER_GRID) -> bool:
    """True if images of this size can be halved down to the grid."""
    return grid.level_of(height, width) is not None


def size_of(resolution: int, grid: Grid = PAPER_GRID) -> tuple[int, int]:
    """Height and width of the images that schedules know by a resolution: its level's.

    Raises:
        ValueError: it is no power of two of at least 4.
    """
    level = PAPER_GRID.level_of(resolution, resolution)
    if level is None:
        raise ValueError(
            f"`resolution` must be a power of two of at least 4. Received: resolution={resolution}."
        )
    return grid.size_at(level)


def suggested_grid(height: int, width: int) -> Grid | None:
    """Smallest useful grid of which images are a power of two larger; None if none has it."""
    while height % 2 == 0 and width % 2 == 0 and height * width // 4 >= MIN_CELLS:
        height, width = height // 2, width // 2
    return Grid(height, width) if max(height, width) <= MAX_SIDE else None


def refuse_size(height: int, width: int, grid: Grid) -> str:
    """Describes in a sentence why images have no pyramid, and the remedy."""
    if not (found := suggested_grid(height, width)):
        return f"Images must be {grid} times a power of two (height x width)."
    return (
        f"Images must be {grid} times a power of two (height x width); --grid={found} takes these."
    )


def check_size(height: int, width: int, grid: Grid) -> None:
    """Raises ValueError for images that have no pyramid."""
    if not has_pyramid(width, height, grid):
        raise ValueError(f"{refuse_size(height, width, grid)} Received: {height}x{width}.")


def pyramid(images: np.ndarray, grid: Grid = PAPER_GRID) -> list[np.ndarray]:
    """Computes all levels from full resolution down to the grid: [n, C, H, W] -> list of its type.

    Args:
        images: of uint8, uint16 or float32.
        grid: size of the coarsest level.
    """
    num_coarser = (grid.level_of(*images.shape[-2:]) or MIN_RESOLUTION_LOG2) - MIN_RESOLUTION_LOG2
    outer, (height, width) = images.shape[:-2], images.shape[-2:]
    planes = images.reshape(math.prod(outer), height, width)
    levels = [
        np.empty((len(planes), height >> k, width >> k), images.dtype)
        for k in range(1, num_coarser + 1)
    ]
    coarser = _coarser_uint8 if images.dtype == np.uint8 else _coarser_deep
    step = max(CACHED_BYTES // (height * width * images.itemsize), 1)
    for start in range(0, len(planes), step):
        some = slice(start, start + step)
        for level, means in zip(levels, coarser(planes[some], num_coarser), strict=True):
            level[some] = means
    return [images, *(level.reshape(*outer, *level.shape[1:]) for level in levels)]


def _coarser_uint8(planes: np.ndarray, num: int) -> Iterator[np.ndarray]:
    """Yields the means of 4, 16, ... pixels, rounded: uint8 [n, H, W] -> [n, H / 2^k, W / 2^k]."""
    sums = planes
    for k in range(1, num + 1):
        if k <= UINT16_LEVELS:
            sums = _sum_blocks_uint16(sums)
            yield _divide(sums, 2 * k)
        else:
            sums = _sum_blocks(sums.astype(np.float32))
            yield np.rint(sums * np.float32(0.25**k))


def _coarser_deep(planes: np.ndarray, num: int) -> Iterator[np.ndarray]:
    """Does `_coarser_uint8` for uint16 and float32."""
    is_integer = planes.dtype.kind == "u"
    sums = planes.astype(np.uint64 if is_integer else np.float64)
    for k in range(1, num + 1):
        sums = _sum_blocks(sums)
        yield _divide(sums, 2 * k) if is_integer else sums * 0.25**k


def _sum_blocks_uint16(x: np.ndarray) -> np.ndarray:
    """Sums 2x2 blocks: [..., R, R] -> uint16 [..., R / 2, R / 2]."""
    if x.dtype == np.uint8:
        pairs = np.ascontiguousarray(x).view("<u2")
        rows = (pairs & np.uint16(0xFF)) + (pairs >> np.uint16(8))
    else:
        rows = x[..., ::2] + x[..., 1::2]
    sums: np.ndarray = rows[..., ::2, :] + rows[..., 1::2, :]
    return sums


def _divide(sums: np.ndarray, bits: int) -> np.ndarray:
    """Computes sums / 2^bits, rounded half to even; uint16 does not overflow for bits <= 8."""
    number = sums.dtype.type
    tie_up = (sums >> number(bits)) & number(1)
    return (sums + number((1 << (bits - 1)) - 1) + tie_up) >> number(bits)


def _sum_blocks(x: np.ndarray) -> np.ndarray:
    """Sums 2x2 blocks in the original's order of additions, which matters beyond 1024x1024."""
    left, right = x[..., ::2, ::2], x[..., ::2, 1::2]
    sums: np.ndarray = left + right + x[..., 1::2, ::2] + x[..., 1::2, 1::2]
    return sums
