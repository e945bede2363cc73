"""Lanczos resampling as Pillow did it in 2016, to the bit: section 4 of docs/celebahq.md.

One horizontal pass over the image, then one vertical pass, each rounded to uint8. A sample is a
float32 running sum that starts at 0.5, adds value times weight from left to right, rounding twice
a tap, and is truncated. BLAS adds in an order of its own: its sums differ by less than
`Filter.tolerance`, so that only samples this close to an integer are summed again in that order.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

LOBES = 3  # of the Lanczos window
F32 = np.float32
ULP = 2.0**-24  # largest relative error of a float32 rounding
MAX_TOLERANCE = 0.1  # beyond it, most samples would have to be summed again
STRIP = 1 << 17  # samples computed at a time, so that they stay in the cache


@dataclasses.dataclass(frozen=True)
class Filter:
    """The weights that take `num_in` samples to `num_out`; made by `lanczos`."""

    num_in: int
    first: np.ndarray  # int64 [num_out]: first source sample
    weights: np.ndarray  # float32 [num_out, taps]; zeros behind the last tap
    tolerance: float  # how far a sum in another order may be off

    @property
    def num_out(self) -> int:
        return len(self.first)

    @functools.cached_property
    def sources(self) -> np.ndarray:
        """Source sample of each tap, int64 [num_out, taps]."""
        taps = np.arange(self.weights.shape[1])
        return np.minimum(self.first[:, np.newaxis] + taps, self.num_in - 1)

    @functools.cached_property
    def blocks(self) -> list[tuple[slice, slice, np.ndarray]]:
        """The filter as dense blocks: outputs, sources, float32 matrix [outputs, sources]."""
        taps = self.weights.shape[1]
        size = 64 if self.num_out > self.num_in else 16  # measured
        matrix_of = []
        for start in range(0, self.num_out, size):
            outputs = slice(start, min(start + size, self.num_out))
            low = int(self.first[outputs].min())
            high = min(int(self.first[outputs].max()) + taps, self.num_in)
            matrix = np.zeros((outputs.stop - start, high - low + taps), F32)
            rows = np.arange(len(matrix))[:, np.newaxis]
            matrix[rows, self.first[outputs, np.newaxis] - low + np.arange(taps)] = self.weights[
                outputs
            ]
            matrix_of.append((outputs, slice(low, high), matrix[:, : high - low].copy()))
        return matrix_of


@functools.lru_cache(maxsize=8)
def lanczos(num_in: int, num_out: int) -> Filter:
    """The filter for one axis; every operation is float32 where the original's was."""
    scale = F32(num_in) / F32(num_out)
    stretch = max(scale, F32(1.0))
    support = F32(LOBES) * stretch
    inverse = F32(1.0 / float(stretch))
    center = ((np.arange(num_out) + 0.5) * float(scale)).astype(F32)
    first = np.maximum(np.floor(center - support), 0).astype(np.int64)
    last = np.minimum(np.ceil(center + support), num_in).astype(np.int64)
    num_taps = last - first
    taps = np.arange(num_taps.max())
    used = taps < num_taps[:, np.newaxis]
    offset = (first[:, np.newaxis] + taps).astype(F32) - center[:, np.newaxis]
    weights = _window(((offset.astype(np.float64) + 0.5) * float(inverse)).astype(F32)) * inverse
    weights[~used] = 0
    total = np.zeros(num_out, F32)
    for tap in taps:
        total += weights[:, tap]
    total[total == 0] = 1
    weights /= total[:, np.newaxis]
    # A running sum and any other order: at most one rounding per tap each, of at most `peak`, and
    # one more for the product; the last term is for the additions that look for close samples.
    peak = 255 * float(np.abs(weights).sum(axis=1).max()) + 1
    tolerance = (2 * len(taps) + 2) * ULP * peak + 4 * ULP * peak
    return Filter(num_in, first, weights, tolerance)


def _window(x: np.ndarray) -> np.ndarray:
    """Lanczos window, float32 to float32."""
    return np.where((x >= -LOBES) & (x < LOBES), _sinc(x) * _sinc(x / F32(LOBES)), F32(0))


def _sinc(x: np.ndarray) -> np.ndarray:
    """sin(pi x) / (pi x), float32 to float32, with the sine in float64."""
    angle = (x.astype(np.float64) * math.pi).astype(F32).astype(np.float64)
    angle[x == 0] = 1
    return np.where(x == 0, F32(1), (np.sin(angle) / angle).astype(F32))


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes an image: uint8 [C, H, W] -> uint8 [C, height, width]."""
    channels, old_height, old_width = image.shape
    result = np.empty((channels, height, width), np.uint8)
    wide = np.empty((old_height, width), F32)
    for plane, out in zip(image, result, strict=True):
        if width == old_width:
            wide[:] = plane
        else:
            resize_rows(plane.astype(F32), lanczos(old_width, width), wide)
        if height == old_height:
            out[:] = wide
        else:
            resize_columns(wide, lanczos(old_height, height), out)
    return result


def resize_rows(rows: np.ndarray, taps: Filter, out: np.ndarray) -> None:
    """Horizontal pass: float32 integers [n, num_in] -> uint8 values in `out` [n, num_out]."""
    step = max(STRIP // taps.num_out, 1)
    for start in range(0, len(rows), step):
        strip = np.ascontiguousarray(rows[start : start + step])
        sums = np.empty((len(strip), taps.num_out), F32)
        for outputs, sources, matrix in taps.blocks:
            np.matmul(strip[:, sources], matrix.T, out=sums[:, outputs])

        def products(flat: np.ndarray, strip: np.ndarray = strip) -> np.ndarray:
            row, column = np.divmod(flat, taps.num_out)
            values = strip[row[:, np.newaxis], taps.sources[column]]
            return values * taps.weights[column]

        out[start : start + step] = _truncated(sums, taps.tolerance, products)


def resize_columns(plane: np.ndarray, taps: Filter, out: np.ndarray) -> None:
    """Vertical pass: float32 integers [num_in, n] -> uint8 values in `out` [num_out, n]."""
    for outputs, sources, matrix in taps.blocks:
        strip = plane[sources]
        sums = matrix @ strip

        def products(flat: np.ndarray, outputs: slice = outputs) -> np.ndarray:
            row, column = np.divmod(flat, plane.shape[1])
            row += outputs.start
            values = plane[taps.sources[row], column[:, np.newaxis]]
            return values * taps.weights[row]

        out[outputs] = _truncated(sums, taps.tolerance, products)


def _truncated(
    sums: np.ndarray, tolerance: float, products: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Rounds sums, without the 0.5, as the running sum would: float32 -> uint8; overwrites `sums`.

    Args:
        products: for flat indices into `sums` [n], the float32 terms of these sums [n, taps].
    """
    sums += F32(0.5 - tolerance)
    low = sums.astype(np.int16)
    sums += F32(2 * tolerance)
    high = sums.astype(np.int16)
    close = np.flatnonzero(low != high)
    if close.size:
        total = np.full(close.size, 0.5, F32)
        for terms in products(close).T:
            total += terms
        low.reshape(-1)[close] = total
    return np.clip(low, 0, 255, out=low).astype(np.uint8)
