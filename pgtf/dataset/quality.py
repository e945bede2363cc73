"""How good an image is, told from its power spectrum. After the paper, Appendix C.

The paper keeps the images whose spectrum "contains a broad range of frequencies and is
approximately radially symmetric" and says no more; the formula is ours.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MAX_SIDE = 1024  # pixels; of larger images the middle is judged
LOWEST, HIGHEST = 1 / 16, 1 / 2  # cycles per pixel
NUM_RINGS, NUM_SECTORS = 6, 8  # of half an octave, of 22.5 degrees
FINE_FROM, NUM_FINE = 1 / 8, 24  # narrow rings, in which single peaks stand out
FLOOR = 0.1  # squared grey levels: the rounding to whole ones has 1/12
PEAK = 5.0  # log of highest to median power that a ring may have; noise has 2 to 3
STEEP = 1.5  # log by which the finer half may outweigh the coarser one
VISIBLE = 3.0  # squared grey levels, times frequency squared: what is weaker outweighs nothing
EDGES = 0.2  # relative strength of lattice lines in photographs that were never compressed
BLOCK = 8  # pixels between the lattice lines of JPEG files
WEIGHTS = {"peaks": 3.0, "steep": 3.0, "lattice": 0.6}


def quality(image: np.ndarray) -> float:
    """Scores an image; higher is better. A flip or a quarter turn changes nothing.

    With P the power spectrum of the luma under a Hann window, per pixel, in squared grey levels, f
    the frequency in cycles per pixel, and all logarithms natural,

        quality = breadth - 3 peaks - 3 steep - 0.6 lattice

        breadth = mean over 6 rings of half an octave, f = 1/16 to 1/2, of the lowest of the
                  log(P + 0.1) of 8 sectors, P averaged in each: the ring counts as much as its
                  weakest direction, so that blur, enlargement and smears score low
        peaks   = max(0, highest of the log(max P / median P) of 24 narrow rings, f = 1/8 to 1/2,
                  minus 5): halftone screens and other regular patterns
        steep   = max(0, highest of log(f^2 P) of the 3 fine rings minus that of the 3 coarse ones,
                  minus 1.5), f^2 P at least 3: photographs fall as 1/f^2 or faster, error-diffused
                  dots rise
        lattice = mean over both axes of log(1 + L / 0.2), where L is the strength of the strongest
                  of the 8 sets of lines that are 8 pixels apart: how much larger the steps across
                  them are than those beside them, divided by the mean step of the image

    Args:
        image: uint8 [1 or 3, H, W].
    """
    planes = _middle(image).astype(np.float64)
    luma = np.tensordot(LUMA, planes, 1) if len(planes) == 3 else planes[0]
    bands = _bands(*luma.shape)
    power = _power(luma, bands.window)
    cells = bands.average(power)
    weakest = np.log(np.nanmin(cells, axis=1) + FLOOR)
    rings = np.log(np.maximum(np.nanmean(cells, axis=1) * bands.frequency**2, VISIBLE))
    half = len(rings) // 2
    steep = rings[half:].max() - rings[:half].max() - STEEP if half else 0.0
    penalties = {
        "peaks": max(bands.peak(power) - PEAK, 0.0),
        "steep": max(float(steep), 0.0),
        "lattice": float(np.mean([_lattice(luma), _lattice(luma.T)])),
    }
    return float(weakest.mean()) - sum(WEIGHTS[name] * value for name, value in penalties.items())


def _middle(image: np.ndarray) -> np.ndarray:
    """At most MAX_SIDE pixels each way, symmetrically."""
    top, left = (-(-max(side - MAX_SIDE, 0) // 2) for side in image.shape[1:])
    height, width = image.shape[1:]
    return image[:, top : height - top, left : width - left]


def _power(luma: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Power per pixel: float64 [H, W] -> [H, W]."""
    centered = luma - (luma * window).sum() / window.sum()
    spectrum = np.fft.fft2(centered * window)  # whole: half of it would favor an axis
    return np.asarray((spectrum.real**2 + spectrum.imag**2) / (window**2).sum())


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


@dataclasses.dataclass(frozen=True)
class _Bands:
    """Which frequencies of an image of one size belong together."""

    window: np.ndarray  # float64 [H, W]
    frequency: np.ndarray  # float64 [rings], of their middles, cycles per pixel
    inside: np.ndarray  # flat places in the power spectrum that lie in a ring
    cell: np.ndarray  # int64, of those: ring * NUM_SECTORS + sector
    count: np.ndarray  # float64 [rings * sectors], NaN where no frequency lies
    fine: np.ndarray  # flat places that lie in narrow rings, ring by ring
    starts: np.ndarray  # of the narrow rings in `fine`

    def average(self, power: np.ndarray) -> np.ndarray:
        """Mean power by ring and sector: -> float64 [rings, sectors]; NaN: no frequency there."""
        total = np.bincount(self.cell, power.ravel()[self.inside], len(self.count))
        return np.asarray((total / self.count).reshape(-1, NUM_SECTORS))

    def peak(self, power: np.ndarray) -> float:
        """Highest of the logs of maximum to median power of the narrow rings."""
        rings = np.split(power.ravel()[self.fine], self.starts[1:])
        ratios = [(ring.max() + FLOOR) / (np.median(ring) + FLOOR) for ring in rings if ring.size]
        return float(np.log(max(ratios, default=1.0)))


@functools.lru_cache(maxsize=16)
def _bands(height: int, width: int) -> _Bands:
    rows, columns = np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width)
    radius = np.hypot(rows, columns)
    angle = np.arctan2(rows, columns) / np.pi  # half turns; the spectrum repeats after one
    octaves = np.log2(np.maximum(radius, LOWEST / 2) / LOWEST) / np.log2(HIGHEST / LOWEST)
    ring = np.floor(octaves * NUM_RINGS).astype(np.int64)
    sector = np.floor(angle * NUM_SECTORS + 0.5).astype(np.int64) % NUM_SECTORS
    inside = np.flatnonzero((ring >= 0) & (radius < HIGHEST))
    used, ring_of = np.unique(ring.ravel()[inside], return_inverse=True)  # small images skip some
    cell = ring_of * NUM_SECTORS + sector.ravel()[inside]
    count = np.bincount(cell, minlength=len(used) * NUM_SECTORS).astype(np.float64)
    count[count == 0] = np.nan
    narrow = np.floor((radius - FINE_FROM) / (HIGHEST - FINE_FROM) * NUM_FINE).ravel()
    places = np.flatnonzero((radius.ravel() >= FINE_FROM) & (radius.ravel() < HIGHEST))
    fine = places[np.argsort(narrow[places], kind="stable")]
    window = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in (height, width)))
    return _Bands(
        window,
        LOWEST * (HIGHEST / LOWEST) ** ((used + 0.5) / NUM_RINGS),
        inside,
        cell,
        count,
        fine,
        np.searchsorted(narrow[fine], np.arange(NUM_FINE)),
    )
