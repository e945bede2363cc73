"""The quality of an image, computed from its power spectrum. After the paper, Appendix C.

The paper keeps the images whose power spectrum has a broad range of frequencies and is roughly
radially symmetric, and gives no formula; this one is ours.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MAX_SIDE = 2048  # pixels; larger images are scored by their middle
PATCH, STEP = 8, 4  # pixels: patches overlap by half
RINGS = (0.3, 0.4, 0.51)  # bounds of the rings in cycles per pixel: the finest detail possible
NUM_SECTORS = 4  # directions
FLOOR = 0.03  # squared grey levels; less than the 1/12 of rounding to whole levels
NATURAL = 5.0  # log of the power that a patch of a photograph seldom exceeds in its weakest sector
PEAKS_FROM, PEAK_RING = 0.115, 0.015  # cycles per pixel: start and width of the rings for peaks
PEAK = 2.2  # log by which the ring with the highest peak may exceed the median ring
MIN_RING = 8  # least frequencies per ring; peaks are not measured in smaller images
BLOCK = 8  # pixels between the lattice lines of JPEG files
EDGES = 0.2  # relative strength of lattice lines in photographs that were never compressed
# The weights were fitted to spoiled tiles: tests/dataset/faces/test_quality.py
EXCESS_WEIGHT, PEAK_WEIGHT, LATTICE_WEIGHT = 8.0, 3.0, 0.4
STRIP = 1 << 14  # patches transformed at a time


def quality(image: np.ndarray) -> float:
    """Scores an image; higher is better. A flip or a quarter turn changes nothing.

    The luma is divided into patches of 8x8 pixels that overlap by half. Let P be the power spectrum
    of a patch under a Hann window, per pixel and in squared grey levels, averaged over each of four
    sectors of directions in two rings of frequencies, 0.3 to 0.4 and 0.4 to 0.5 cycles per pixel.
    For each patch and ring, let

        x = log(min over sectors of P + 0.03)

    Photographs have less power at finer detail: a patch with power in these rings has it at all
    frequencies, and if its weakest sector has power, all directions have it. With natural
    logarithms and means over patches and rings,

        quality = mean(x) - 8 mean(max(x - 5, 0)) - 3 max(peak - 2.2, 0) - 0.4 lattice

    The first term falls with blur, enlargement and compression, which remove the power of patches,
    and with smears, which remove that of a direction. The second term falls with halftone dots,
    which have more power than photographs. `peak` measures halftone screens and other regular
    patterns, even faint ones, in the spectrum of the whole image: in rings of 0.015 cycles per
    pixel from 0.115 on, log((max P + 1) / (median P + 1)) is computed, and `peak` is the highest
    value minus the median. `lattice` measures the blocks of JPEG files. It is the mean over both
    axes of log(1 + L / 0.2), where L is the amount by which steps across lines 8 pixels apart
    exceed the steps beside them, divided by the mean step.

    Args:
        image: uint8 [1 or 3, H, W].
    """
    planes = _middle(image).astype(np.float64)
    luma = np.tensordot(LUMA, planes, 1) if len(planes) == 3 else planes[0]
    padded = np.pad(luma, [(max(-(side - PATCH) // 2, 0),) * 2 for side in luma.shape], "symmetric")
    excess = breadth = 0.0
    grids = list(itertools.product(*(_offsets(side) for side in padded.shape)))
    for top, left in grids:
        x = _weakest(padded[top:, left:])
        breadth += float(x.mean()) / len(grids)
        excess += float(np.maximum(x - NATURAL, 0).mean()) / len(grids)
    lattice = (_lattice(luma) + _lattice(luma.T)) / 2
    peak = max(_peak(luma) - PEAK, 0)
    return breadth - EXCESS_WEIGHT * excess - PEAK_WEIGHT * peak - LATTICE_WEIGHT * lattice


def _middle(image: np.ndarray) -> np.ndarray:
    """Crops an image to at most MAX_SIDE pixels per side, symmetrically."""
    height, width = image.shape[1:]
    top, left = (-(-max(side - MAX_SIDE, 0) // 2) for side in (height, width))
    return image[:, top : height - top, left : width - left]


def _offsets(side: int) -> set[int]:
    """Offsets of the first patch: two if the patches of one cannot lie symmetrically."""
    rest = (side - PATCH) % STEP
    return {rest // 2, rest - rest // 2}


def _weakest(luma: np.ndarray) -> np.ndarray:
    """Log power of the patches in their weakest sectors: float64 [H, W] -> [patches, rings]."""
    window, average = _bands()
    grid = sliding_window_view(luma, (PATCH, PATCH))[::STEP, ::STEP]
    rows = max(STRIP // grid.shape[1], 1)
    result = []
    for start in range(0, len(grid), rows):
        patches = grid[start : start + rows].reshape(-1, PATCH, PATCH)
        means = (patches * window).sum(axis=(1, 2), keepdims=True) / window.sum()
        spectrum = np.fft.fft2((patches - means) * window)
        power = (spectrum.real**2 + spectrum.imag**2).reshape(len(patches), -1) @ average
        result.append(power.reshape(len(patches), -1, NUM_SECTORS).min(axis=2))
    return np.log(np.concatenate(result) + FLOOR)


@functools.cache
def _bands() -> tuple[np.ndarray, np.ndarray]:
    """The window [PATCH, PATCH], and the matrix that averages over each sector of each ring."""
    line = np.sin(np.pi * (np.arange(PATCH) + 0.5) / PATCH) ** 2
    window = np.outer(line, line)
    frequency = np.fft.fftfreq(PATCH)
    radius = np.hypot(frequency[:, np.newaxis], frequency)
    turn = np.arctan2(frequency[:, np.newaxis], frequency) / np.pi  # half turns; its period is 1
    sector = np.floor(turn * NUM_SECTORS + 0.5).astype(np.int64) % NUM_SECTORS
    ring = np.searchsorted(RINGS, radius, side="right") - 1
    cells = [
        ((ring == r) & (sector == s)).ravel()
        for r, s in itertools.product(range(len(RINGS) - 1), range(NUM_SECTORS))
    ]
    average = np.stack([cell / cell.sum() for cell in cells], axis=1)
    return window, average / (window**2).sum()


def _peak(luma: np.ndarray) -> float:
    """Measures the strongest regular pattern in an image; see `quality`."""
    order, starts, window = _rings(*luma.shape)
    if len(starts) < 2:  # the image is too small
        return 0.0
    centered = luma - (luma * window).sum() / window.sum()
    spectrum = np.fft.fft2(centered * window)
    power = (spectrum.real**2 + spectrum.imag**2).ravel()[order] / (window**2).sum()
    rings = np.split(power, starts[1:])
    ratios = [np.log((ring.max() + 1) / (np.median(ring) + 1)) for ring in rings]
    return float(max(ratios) - np.median(ratios))


@functools.lru_cache(maxsize=16)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat indices into a spectrum, ring by ring; the start of each ring; the window."""
    radius = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width)).ravel()
    ring = np.floor((radius - PEAKS_FROM) / PEAK_RING).astype(np.int64)
    places = np.flatnonzero((ring >= 0) & (radius < 0.5))
    order = places[np.argsort(ring[places], kind="stable")]
    _, starts, counts = np.unique(ring[order], return_index=True, return_counts=True)
    if len(counts) and counts.min() < MIN_RING:
        starts = starts[:0]
    lines = (np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in (height, width))
    return order, starts, np.outer(*lines)


def _lattice(luma: np.ndarray) -> float:
    """Measures the strength of vertical lines BLOCK pixels apart; see `quality`."""
    steps = np.abs(np.diff(luma, axis=1))
    if steps.shape[1] < 2 * BLOCK:
        return 0.0
    excess = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(axis=0)
    phase = np.arange(len(excess)) % BLOCK
    lines = np.bincount(phase, excess) / np.bincount(phase)
    strength = max(float(lines.max()), 0.0) / (float(steps.mean()) + 1 / 16)
    return float(np.log1p(strength / EDGES))
