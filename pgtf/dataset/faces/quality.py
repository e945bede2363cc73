"""How good an image is, told from its power spectrum. After the paper, Appendix C.

The paper keeps the images whose power spectrum holds a broad range of frequencies and is roughly
the same in all directions, and says no more; the formula is ours.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MAX_SIDE = 2048  # pixels; of larger images the middle is judged
PATCH, STEP = 8, 4  # pixels: patches overlap by half
RINGS = (0.3, 0.4, 0.51)  # cycles per pixel: bounds of the rings, the finest that pixels can show
NUM_SECTORS = 4  # directions
FLOOR = 0.03  # squared grey levels, below the rounding to whole ones, which has 1/12
NATURAL = 5.0  # log of the power that a patch of a photograph seldom exceeds in its weakest sector
PEAKS_FROM, PEAK_RING = 0.115, 0.015  # cycles per pixel: narrow rings, in which peaks stand out
PEAK = 2.2  # log by which the ring with the highest peak may exceed the others
MIN_RING = 8  # frequencies in a ring: smaller images have no peaks
BLOCK = 8  # pixels between the lattice lines of JPEG files
EDGES = 0.2  # relative strength of lattice lines in photographs that were never compressed
# Fitted to spoiled tiles: tests/dataset/test_quality.py
EXCESS_WEIGHT, PEAK_WEIGHT, LATTICE_WEIGHT = 8.0, 3.0, 0.4
STRIP = 1 << 14  # patches transformed at a time


def quality(image: np.ndarray) -> float:
    """Scores an image; higher is better. A flip or a quarter turn changes nothing.

    The luma is cut into patches of 8x8 pixels that overlap by half. Let P be the power spectrum of
    a patch under a Hann window, per pixel, in squared grey levels, averaged over four sectors of
    directions in two rings of frequencies, 0.3 to 0.4 and 0.4 to 0.5 cycles per pixel, and

        x = log(min over sectors of P + 0.03)

    for each patch and ring: photographs have less power the finer the detail, so that a patch with
    power even there has it at all frequencies, and the weakest direction tells whether it has it
    in all. Then, with means over patches and rings and natural logarithms,

        quality = mean(x) - 8 mean(max(x - 5, 0)) - 3 max(peak - 2.2, 0) - 0.4 lattice

    Blur, enlargement and compression empty some patches or all, smears empty a direction: the
    first term falls. Halftone dots fill patches with more power than photographs have: the second.
    `peak` tells of halftone screens and other regular patterns, faint ones too, from the spectrum
    of the whole image: of log((max P + 1) / (median P + 1)) of the rings of 0.015 cycles per pixel
    from 0.115 on, the highest minus the median. `lattice` is the mean over both axes of
    log(1 + L / 0.2), where L tells how much larger the steps across lines 8 pixels apart are than
    those beside them, divided by the mean step: the blocks of JPEG files.

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
    """At most MAX_SIDE pixels each way, symmetrically."""
    height, width = image.shape[1:]
    top, left = (-(-max(side - MAX_SIDE, 0) // 2) for side in (height, width))
    return image[:, top : height - top, left : width - left]


def _offsets(side: int) -> set[int]:
    """Where the patches begin; twice where they cannot lie symmetrically."""
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
    """The window [PATCH, PATCH], and the matrix that averages over rings and sectors."""
    line = np.sin(np.pi * (np.arange(PATCH) + 0.5) / PATCH) ** 2
    window = np.outer(line, line)
    frequency = np.fft.fftfreq(PATCH)
    radius = np.hypot(frequency[:, np.newaxis], frequency)
    turn = np.arctan2(frequency[:, np.newaxis], frequency) / np.pi  # half turns, where it repeats
    sector = np.floor(turn * NUM_SECTORS + 0.5).astype(np.int64) % NUM_SECTORS
    ring = np.searchsorted(RINGS, radius, side="right") - 1
    cells = [
        ((ring == r) & (sector == s)).ravel()
        for r, s in itertools.product(range(len(RINGS) - 1), range(NUM_SECTORS))
    ]
    average = np.stack([cell / cell.sum() for cell in cells], axis=1)
    return window, average / (window**2).sum()


def _peak(luma: np.ndarray) -> float:
    """How much a regular pattern stands out from the spectrum of an image."""
    order, starts, window = _rings(*luma.shape)
    if len(starts) < 2:  # too small to tell
        return 0.0
    centered = luma - (luma * window).sum() / window.sum()
    spectrum = np.fft.fft2(centered * window)
    power = (spectrum.real**2 + spectrum.imag**2).ravel()[order] / (window**2).sum()
    rings = np.split(power, starts[1:])
    ratios = [np.log((ring.max() + 1) / (np.median(ring) + 1)) for ring in rings]
    return float(max(ratios) - np.median(ratios))


@functools.lru_cache(maxsize=16)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat places in a spectrum ring by ring, where each ring starts, and the window."""
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
    """How much vertical lines BLOCK pixels apart stand out."""
    steps = np.abs(np.diff(luma, axis=1))
    if steps.shape[1] < 2 * BLOCK:
        return 0.0
    excess = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(axis=0)
    phase = np.arange(len(excess)) % BLOCK
    lines = np.bincount(phase, excess) / np.bincount(phase)
    strength = max(float(lines.max()), 0.0) / (float(steps.mean()) + 1 / 16)
    return float(np.log1p(strength / EDGES))
