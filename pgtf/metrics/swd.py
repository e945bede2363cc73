"""Sliced Wasserstein distance between the local patches of two sets of images. Paper, Section 5.

For each level of a Laplacian pyramid, 128 patches of 7x7 pixels per image are sampled, normalised
per colour channel, and projected onto 4 x 128 random directions; the distance is the mean
difference of the sorted projections. Lower is better; the finest level measures sharpness, the
coarsest layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pgtf.metrics.descriptors import Descriptors, Level
from pgtf.metrics.interface import Batch, Counts, Measure
from pgtf.metrics.patches import PATCH
from pgtf.metrics.pyramid import num_levels

REPEATS, DIRECTIONS = 4, 128  # paper, Section 5
SCALE = 1e3  # the paper reports SWD x 10^3
_SORT_BYTES = 1 << 29  # size of the projections held at a time, for each of the two sets


class Swd(Measure):
    """Sliced Wasserstein distance x 10^3: the average, then each level by its side in pixels."""

    name, title, better = "swd", "Sliced Wasserstein distance x 10^3", "lower"
    default_images = 16384  # paper, Section 5
    images_per_k = 1024  # so that 16k are the paper's 16,384

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        rng = np.random.RandomState(seed)
        self._swd = SlicedWasserstein(counts.fakes, shape, rng, num_reals=counts.reals)

    def feed_reals(self, batch: Batch) -> None:
        self._swd.feed_reals(batch.images)

    def begin_fakes(self) -> None:
        self._swd.begin_fakes()

    def feed_fakes(self, batch: Batch) -> None:
        self._swd.feed_fakes(batch.images)

    def result(self) -> dict[str, float]:
        levels = self._swd.result()
        return {"swd": levels.pop("avg")} | {f"swd_{side}": v for side, v in levels.items()}


class SlicedWasserstein:
    """SWD x 10^3 per level and on average, fed in two passes.

    The stream of random numbers is the original's: positions in the reals, the directions that it
    uses to compare the reals with themselves, positions in the fakes, directions.

    Args:
        num_images: number of fakes.
        shape: (H, W, C).
        rng: stream of random numbers.
        num_reals: number of reals; None = as many as fakes.
        **options: arguments of `Descriptors`.
    """

    def __init__(
        self,
        num_images: int,
        shape: tuple[int, int, int],
        rng: np.random.RandomState,
        *,
        num_reals: int | None = None,
        **options: Any,
    ) -> None:
        num_levels(*shape[:2])
        self._rng, self._options = rng, options
        self._num_images, self._shape = num_images, shape
        self._feeding = Descriptors(num_reals or num_images, shape, **options)
        self._reals: list[Level] = []
        self._rng_state: Any = None

    def feed_reals(self, images: np.ndarray) -> None:
        """Adds [n, H, W, C], uint8 or float32 in 0 ... 255."""
        self._feeding.feed(images, self._rng)

    def begin_fakes(self) -> None:
        """Ends the reals, or forgets the fakes: all snapshots get the same random numbers."""
        if not self._reals:
            self._reals = list(_finished(self._feeding, "reals"))
            for _ in self._reals:
                for _ in range(REPEATS):
                    random_directions(self._rng, self._shape[2])
            self._rng_state = self._rng.get_state()
        self._rng.set_state(self._rng_state)
        self._feeding.levels.clear()  # Frees the fakes of the previous snapshot.
        self._feeding = Descriptors(self._num_images, self._shape, **self._options)

    def feed_fakes(self, images: np.ndarray) -> None:
        """Adds [n, H, W, C], uint8 or float32 in 0 ... 255."""
        self._feeding.feed(images, self._rng)

    def result(self) -> dict[str, float]:
        """{"64": ..., "32": ..., "16": ..., "avg": ...}, keys are the short sides of the levels."""
        fakes = _finished(self._feeding, "fakes")
        pairs = zip(self._reals, fakes, strict=True)
        values = [SCALE * sliced_wasserstein(a, b, self._rng) for a, b in pairs]
        side = min(self._shape[:2])
        per_level = {str(side >> level): value for level, value in enumerate(values)}
        return per_level | {"avg": float(np.mean(values))}


def random_directions(
    rng: np.random.RandomState, num_channels: int, count: int = DIRECTIONS
) -> np.ndarray:
    """Samples unit vectors: -> float32 [49 C, count], rows in the order (y, x, channel).

    They are sampled in the original's order, which is (channel, x, y).
    """
    directions = rng.randn(num_channels * PATCH * PATCH, count)
    directions = (directions / np.sqrt(np.sum(directions**2, axis=0))).astype(np.float32)
    ordered = directions.reshape(num_channels, PATCH, PATCH, count).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(ordered).reshape(directions.shape)


def sliced_wasserstein(
    a: Level,
    b: Level,
    rng: np.random.RandomState,
    repeats: int = REPEATS,
    count: int = DIRECTIONS,
) -> float:
    """Mean distance between the sorted projections of two levels. Rabin et al. 2011.

    Sets of different size are compared as distributions: each point has the weight 1 / size.
    """
    sizes = a.num_patches, b.num_patches
    step = min(max(_SORT_BYTES // (4 * max(sizes)), 1), count)
    p, q = (np.empty((step, size), np.float32) for size in sizes)
    quantiles = None if sizes[0] == sizes[1] else _Quantiles(*sizes)
    total = 0.0
    for _ in range(repeats):
        directions = random_directions(rng, a.num_channels, count)
        for start in range(0, count, step):
            part = directions[:, start : start + step]
            rows = p[: part.shape[1]], q[: part.shape[1]]
            shifts = a.project(part, rows[0]) - b.project(part, rows[1])
            for x, y, shift in zip(*rows, shifts, strict=True):  # One row fits the cache.
                x.sort()
                y.sort()
                if quantiles is not None:
                    total += quantiles.mean_difference(x, y + shift)
                    continue
                x -= y
                x -= shift
                total += float(np.mean(np.abs(x, out=x)))
    return total / (repeats * count)


class _Quantiles:
    """Steps on which the quantile functions of two samples of different size are constant."""

    def __init__(self, n: int, m: int) -> None:
        # Multiply all bounds by n m, so that they are whole numbers.
        bounds = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
        self._x, self._y = (bounds - 1) // m, (bounds - 1) // n
        self._weights = np.diff(bounds, prepend=0) / (n * m)

    def mean_difference(self, x: np.ndarray, y: np.ndarray) -> float:
        """Wasserstein distance of sorted samples, [n] and [m]."""
        differences = np.abs(x[self._x] - y[self._y])
        return float(np.dot(differences.astype(np.float64), self._weights))


def _finished(descriptors: Descriptors, what: str) -> list[Level]:
    if descriptors.num_fed < descriptors.num_images:
        raise ValueError(
            f"SWD was promised {descriptors.num_images} {what}. Received: {descriptors.num_fed}."
        )
    return descriptors.levels
