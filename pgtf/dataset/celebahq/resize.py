"""Lanczos resampling as Pillow did it in 2016, to the bit: section 4 of docs/celebahq.md.

A horizontal pass over the image is followed by a vertical one; both round to uint8. A sample is a
float32 running sum that starts at 0.5, adds value times weight from left to right with two
roundings per tap, and is truncated. BLAS adds in another order. Its sums differ by less than
`Filter.tolerance`, so that only samples this close to an integer are summed again in that order.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LOBES = 3  # lobes of the Lanczos window on each side
F32 = np.float32
ULP = 2.0**-24  # largest relative error of a float32 rounding
MAX_TOLERANCE = 0.1  # beyond it, most samples would have to be summed again
STRIP = 1 << 17  # samples computed at a time, so that they stay in the cache


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive outputs of a filter, as a matrix."""

    outputs: slice
    sources: slice
    matrix: np.ndarray  # float32 [outputs, sources]
    transposed: np.ndarray  # contiguous, which makes the product faster


@dataclasses.dataclass(frozen=True)
class Filter:
    """The weights that resample `num_in` samples to `num_out`; see `lanczos`."""

    num_in: int
    first: np.ndarray  # int64 [num_out]: first source sample, ascending
    weights: np.ndarray  # float32 [num_out, taps]; zeros around those that are used
    tolerance: float  # bound of the error of a sum in another order

    @property
    def num_out(self) -> int:
        return len(self.first)

    @functools.cached_property
    def blocks(self) -> list[Block]:
        """The filter as dense blocks."""
        taps = np.arange(self.weights.shape[1])
        size = 64 if self.num_out > self.num_in else 16  # the fastest of those measured
        blocks = []
        for start in range(0, self.num_out, size):
            outputs = slice(start, min(start + size, self.num_out))
            first = self.first[outputs, np.newaxis] - self.first[start]
            matrix = np.zeros((len(first), int(first[-1, 0]) + len(taps)), F32)
            matrix[np.arange(len(first))[:, np.newaxis], first + taps] = self.weights[outputs]
            low = int(self.first[start])
            sources = slice(low, low + matrix.shape[1])
            blocks.append(Block(outputs, sources, matrix, matrix.T.copy()))
        return blocks


@functools.lru_cache(maxsize=8)
def lanczos(num_in: int, num_out: int) -> Filter:
    """Computes the filter for one axis; operations are float32 where the original's were."""
    scale = F32(num_in) / F32(num_out)
    stretch = max(scale, F32(1.0))
    support = F32(LOBES) * stretch
    inverse = F32(1.0 / float(stretch))
    center = ((np.arange(num_out) + 0.5) * float(scale)).astype(F32)
    first = np.maximum(np.floor(center - support), 0).astype(np.int64)
    last = np.minimum(np.ceil(center + support), num_in).astype(np.int64)
    num_taps = last - first
    taps = np.arange(num_taps.max())
    first = np.minimum(first, num_in - len(taps))
    source = first[:, np.newaxis] + taps
    used = (source >= (last - num_taps)[:, np.newaxis]) & (source < last[:, np.newaxis])
    offset = source.astype(F32) - center[:, np.newaxis]
    weights = _window(((offset.astype(np.float64) + 0.5) * float(inverse)).astype(F32)) * inverse
    weights[~used] = 0
    total = np.zeros(num_out, F32)
    for tap in taps:
        total += weights[:, tap]
    total[total == 0] = 1
    weights /= total[:, np.newaxis]
    # The running sum and a sum in any other order round at most once per tap and once per product,
    # each time a value of at most `peak`. The last term covers the additions in `_truncate`.
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
    if width != old_width:
        image = resize_rows(image.reshape(-1, old_width), lanczos(old_width, width))
        image = image.reshape(channels, old_height, width)
    if height != old_height:
        taps = lanczos(old_height, height)
        image = np.stack([resize_columns(plane, taps) for plane in image])
    return image


def resize_rows(rows: np.ndarray, taps: Filter) -> np.ndarray:
    """Horizontal pass: integers 0..255 of any type [n, num_in] -> uint8 [n, num_out]."""
    result = np.empty((len(rows), taps.num_out), np.uint8)
    step = max(STRIP // taps.num_out, 1)
    for start in range(0, len(rows), step):
        strip = rows[start : start + step].astype(F32, copy=False)
        sums = np.empty((len(strip), taps.num_out), F32)
        for block in taps.blocks:
            np.matmul(strip[:, block.sources], block.transposed, out=sums[:, block.outputs])
        truncated, close = _truncate(sums, taps.tolerance)
        if close.size:
            row, output = np.divmod(close, taps.num_out)
            windows = sliding_window_view(strip, taps.weights.shape[1], axis=1)
            values = windows[row, taps.first[output]]
            truncated.reshape(-1)[close] = _running_sum(values, taps.weights[output])
        np.clip(truncated, 0, 255, out=truncated)
        result[start : start + step] = truncated
    return result


def resize_columns(plane: np.ndarray, taps: Filter) -> np.ndarray:
    """Vertical pass: uint8 [num_in, n] -> uint8 [num_out, n]."""
    result = np.empty((taps.num_out, plane.shape[1]), np.uint8)
    for block in taps.blocks:
        strip = plane[block.sources].astype(F32)
        truncated, close = _truncate(block.matrix @ strip, taps.tolerance)
        if close.size:
            output, column = np.divmod(close, plane.shape[1])
            output += block.outputs.start
            windows = sliding_window_view(strip, taps.weights.shape[1], axis=0)
            values = windows[taps.first[output] - block.sources.start, column]
            truncated.reshape(-1)[close] = _running_sum(values, taps.weights[output])
        np.clip(truncated, 0, 255, out=truncated)
        result[block.outputs] = truncated
    return result


def _truncate(sums: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Adds 0.5 to sums, which it overwrites, and truncates them.

    Returns:
        int16 results, and the flat indices of the results that may be wrong.
    """
    sums += F32(0.5 - tolerance)
    low = sums.astype(np.int16)
    sums += F32(2 * tolerance)
    return low, np.flatnonzero(low != sums.astype(np.int16))


def _running_sum(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Adds values times weights to 0.5 from left to right: float32 [n, taps] -> [n]."""
    total = np.full(len(values), 0.5, F32)
    for terms in (values * weights).T:
        total += terms
    return total
