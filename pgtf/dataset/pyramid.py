"""Copies of images at every level down to 4x4, bit for bit those of the original release.

Each level is the 2x2 mean of the finer one *before* rounding; stored pixels are rounded half to
even. The original computes the means in float32. We keep sums instead, which differ by a power of
four only: in uint16 as long as they fit, which is exact and several times faster, then in float32.
"""

from __future__ import annotations

import numpy as np

from pgtf.dataset.folder import MIN_RESOLUTION_LOG2

UINT16_LEVELS = 4  # 255 * 4^4 < 2^16


def has_pyramid(width: int, height: int) -> bool:
    """True if images of this size can be halved down to 4x4: square, a power of two, at least 4."""
    return width == height >= 1 << MIN_RESOLUTION_LOG2 and not width & (width - 1)


def pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Computes all levels from full resolution down to 4x4: uint8 [n, C, R, R] -> list of uint8."""
    levels = [images]
    sums = images  # over 4^k pixels
    for k in range(1, images.shape[-1].bit_length() - MIN_RESOLUTION_LOG2):
        if k <= UINT16_LEVELS:
            sums = _sum_blocks_uint16(sums)
            rounded = _divide_uint16(sums, 2 * k)
        else:
            sums = _sum_blocks_float32(sums.astype(np.float32))
            rounded = np.rint(sums * np.float32(0.25**k))
        levels.append(rounded.astype(np.uint8))
    return levels


def _sum_blocks_uint16(x: np.ndarray) -> np.ndarray:
    """Sums 2x2 blocks: [..., R, R] -> uint16 [..., R / 2, R / 2]."""
    if x.dtype == np.uint8:
        pairs = np.ascontiguousarray(x).view("<u2")
        rows = (pairs & np.uint16(0xFF)) + (pairs >> np.uint16(8))
    else:
        rows = x[..., ::2] + x[..., 1::2]
    sums: np.ndarray = rows[..., ::2, :] + rows[..., 1::2, :]
    return sums


def _divide_uint16(sums: np.ndarray, bits: int) -> np.ndarray:
    """Computes sums / 2^bits, rounded half to even; does not overflow for bits <= 8."""
    shift = np.uint16(bits)
    tie_up = (sums >> shift) & np.uint16(1)
    return (sums + np.uint16((1 << (bits - 1)) - 1) + tie_up) >> shift


def _sum_blocks_float32(x: np.ndarray) -> np.ndarray:
    """Sums 2x2 blocks in the original's order of additions, which matters beyond 1024x1024."""
    left, right = x[..., ::2, ::2], x[..., ::2, 1::2]
    sums: np.ndarray = left + right + x[..., 1::2, ::2] + x[..., 1::2, 1::2]
    return sums
