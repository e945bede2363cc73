"""Laplacian pyramids of uint8 images, exact to the last bit. Burt and Adelson 1983.

The 5x5 binomial filter is separable: rows are filtered first and columns second, even and odd
samples separately. Integers below 2**16 and float32 sums below 2**24 are exact, so the finest two
levels use these cheap types. Coarser levels are summed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

COARSEST = 16  # shortest side of the last level. Paper, Section 5
BINOMIAL_SUM = 16  # 1 + 4 + 6 + 4 + 1


def num_levels(height: int, width: int) -> int:
    """Number of pyramid levels from full resolution down to a short side of 16 ... 31 pixels.

    Raises:
        ValueError: the images are under 16 pixels, or a level has an odd side.
    """
    levels = min(height, width).bit_length() - COARSEST.bit_length() + 1
    if levels < 1:
        raise ValueError(
            f"SWD needs images of {COARSEST}x{COARSEST} pixels or more. Received: {height}x{width}."
        )
    factor = 1 << (levels - 1)
    if height % factor or width % factor:
        raise ValueError(
            f"SWD halves the images {levels - 1} times: both sides must be multiples of {factor}. "
            f"Received: {height}x{width}."
        )
    return levels


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """Splits uint8 [N, H, W, C] into float32 bands, finest first; the last one is the low-pass."""
    pyramid = gaussian_pyramid(images, levels)
    pairs = zip(pyramid[:-1], pyramid[1:], strict=True)
    bands = [laplacian_band(*pair, is_finest=k == 0) for k, pair in enumerate(pairs)]
    return [*bands, pyramid[-1].astype(np.float32, order="C", copy=False)]


def gaussian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """Images [N, H, W, C] and their low-pass ones, float32, each half the previous one's size."""
    pyramid = [np.ascontiguousarray(images)]
    for _ in range(levels - 1):
        pyramid.append(pyr_down(pyramid[-1]))
    return pyramid


def laplacian_band(fine: np.ndarray, coarse: np.ndarray, is_finest: bool) -> np.ndarray:
    """fine - pyr_up(coarse), two successive levels of a Gaussian pyramid: -> float32 [N, H, W, C].

    Args:
        fine: uint8 or float32 [N, H, W, C].
        coarse: float32 [N, H/2, W/2, C].
        is_finest: True if `fine` is uint8 images and `coarse` their `pyr_down`: float32 sums are
            exact then.
    """
    even, odd = _pyr_up_rows(coarse, np.float32 if is_finest else np.float64)
    band = fine.astype(np.float32, order="C")
    band[:, 0::2] -= even.astype(np.float32, copy=False)
    band[:, 1::2] -= odd.astype(np.float32, copy=False)
    return band


def pyr_down(images: np.ndarray) -> np.ndarray:
    """Filters with [1 4 6 4 1]^2 / 256 and keeps even samples: [N, H, W, C] -> [N, H/2, W/2, C].

    uint8 or float32 in, float32 out, same scale; beyond the border the image is mirrored without
    repeating the edge.
    """
    kind: Any = np.uint16 if images.dtype == np.uint8 else np.float64  # 255 * 256 < 2**16
    x = images.astype(kind, order="C")
    x = _halve(x[:, 0::2], x[:, 1::2], axis=1)
    whole = _pixels(x)
    even, odd = (np.ascontiguousarray(whole[:, :, start::2]) for start in (0, 1))
    shape = (*even.shape, x.shape[3])
    x = _halve(even.view(x.dtype).reshape(shape), odd.view(x.dtype).reshape(shape), axis=2)
    if x.dtype == np.uint16:
        x = x.astype(np.float32)
    x *= 1 / BINOMIAL_SUM**2
    return x.astype(np.float32, copy=False)


def pyr_up(images: np.ndarray) -> np.ndarray:
    """Inserts zeros and filters with [1 4 6 4 1]^2 / 64: float32 [N, H, W, C] -> [N, 2H, 2W, C]."""
    n, height, width, channels = images.shape
    out = np.empty((n, 2 * height, 2 * width, channels), np.float32)
    out[:, 0::2], out[:, 1::2] = _pyr_up_rows(images, np.float64)
    return out


def _pyr_up_rows(images: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Even rows and odd rows of `pyr_up`, [N, H, 2W, C] each, summed in `dtype`."""
    n, height, width, channels = images.shape
    even, odd = _double(images.astype(dtype, order="C") * dtype(4 / BINOMIAL_SUM**2), axis=2)
    wide = np.empty((n, height, 2 * width, channels), dtype)
    whole = _pixels(wide)
    whole[:, :, 0::2], whole[:, :, 1::2] = _pixels(even), _pixels(odd)
    return _double(wide, axis=1)


def _halve(even: np.ndarray, odd: np.ndarray, axis: int) -> np.ndarray:
    """Filters with 1 4 6 4 1 along an axis, around the even samples."""
    four = even.dtype.type(4)
    sums = _plus_next(even, axis)
    sums += four * odd
    out = _plus_previous(sums, axis)
    out += four * even
    return out


def _double(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Filters samples with zeros in between with 1 4 6 4 1: (even results, odd results)."""
    four = x.dtype.type(4)
    sums = _plus_next(x, axis)
    even = _plus_previous(sums, axis)
    even += four * x
    sums *= four
    return even, sums


def _plus_next(x: np.ndarray, axis: int) -> np.ndarray:
    """x[i] + x[i + 1]: past the end, the mirror gives the last even sample once more."""
    before: Any = (slice(None),) * axis
    out = np.empty_like(x, order="C")
    first, last = (*before, slice(None, -1)), (*before, -1)
    np.add(x[first], x[(*before, slice(1, None))], out=out[first])
    np.add(x[last], x[last], out=out[last])
    return out


def _plus_previous(x: np.ndarray, axis: int) -> np.ndarray:
    """x[i] + x[i - 1]: before the start, the mirror gives the first sum once more."""
    before: Any = (slice(None),) * axis
    out = np.empty_like(x, order="C")
    first, rest = (*before, 0), (*before, slice(1, None))
    np.add(x[first], x[first], out=out[first])
    np.add(x[rest], x[(*before, slice(None, -1))], out=out[rest])
    return out


def _pixels(x: np.ndarray) -> np.ndarray:
    """Views [N, H, W, C] as [N, H, W] of opaque pixels, which NumPy copies in one piece each."""
    pixels: np.ndarray = x.view(np.dtype((np.void, x.itemsize * x.shape[3])))[..., 0]
    return pixels
