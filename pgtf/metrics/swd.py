"""Sliced Wasserstein distance between the local patches of two sets of images. Paper, Section 5.

For each level of a Laplacian pyramid, 128 patches of 7x7 pixels an image are drawn, normalised per
colour channel, and projected onto 4 x 128 random directions; the distance is the mean difference
of the sorted projections. Low is good; the finest level tells of sharpness, the coarsest of layout.
"""

import numpy as np

from pgtf.metrics.descriptors import Descriptors
from pgtf.metrics.patches import PATCH
from pgtf.metrics.pyramid import num_levels

REPEATS, DIRECTIONS = 4, 128  # paper, Section 5
SCALE = 1e3  # the paper reports SWD x 10^3
_SORT_BYTES = 1 << 29  # of projections held at a time, for each of the two sets


class SlicedWasserstein:
    """SWD x 10^3 per level and on average, fed in two passes.

    The stream of random numbers is the original's: positions in the reals, the directions that it
    uses to compare the reals with themselves, positions in the fakes, directions.

    Args:
        num_images: images of each set.
        shape: (H, W, C).
        rng: np.random.RandomState.
    """

    def __init__(self, num_images, shape, rng, **options):
        num_levels(*shape[:2])
        self._rng, self._options = rng, options
        self._num_images, self._shape = num_images, shape
        self._feeding = Descriptors(num_images, shape, **options)
        self._reals, self._rng_state = None, None

    def feed_reals(self, images):
        """Adds uint8 [n, H, W, C]."""
        self._feeding.feed(images, self._rng)

    def begin_fakes(self):
        """Ends the reals, or forgets the fakes so far: every snapshot sees the same draws."""
        if self._reals is None:
            self._reals = _finished(self._feeding, "reals")
            for _ in self._reals:
                for _ in range(REPEATS):
                    random_directions(self._rng, self._shape[2])
            self._rng_state = self._rng.get_state()
        self._rng.set_state(self._rng_state)
        self._feeding = None  # frees the fakes of the snapshot before
        self._feeding = Descriptors(self._num_images, self._shape, **self._options)

    def feed_fakes(self, images):
        """Adds uint8 [n, H, W, C]."""
        self._feeding.feed(images, self._rng)

    def result(self):
        """{"64": ..., "32": ..., "16": ..., "avg": ...}, keys are the short sides of the levels."""
        fakes = _finished(self._feeding, "fakes")
        pairs = zip(self._reals, fakes, strict=True)
        values = [SCALE * sliced_wasserstein(a, b, self._rng) for a, b in pairs]
        side = min(self._shape[:2])
        per_level = {str(side >> level): value for level, value in enumerate(values)}
        return per_level | {"avg": float(np.mean(values))}


def random_directions(rng, num_channels, count=DIRECTIONS):
    """Draws unit vectors: -> float32 [49 C, count], rows in the order (y, x, channel).

    They are drawn in the original's order, which is (channel, x, y).
    """
    directions = rng.randn(num_channels * PATCH * PATCH, count)
    directions = (directions / np.sqrt(np.sum(directions**2, axis=0))).astype(np.float32)
    ordered = directions.reshape(num_channels, PATCH, PATCH, count).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(ordered).reshape(directions.shape)


def sliced_wasserstein(a, b, rng, repeats=REPEATS, count=DIRECTIONS):
    """Mean distance of sorted projections of two levels -> float. Rabin et al. 2011.

    Raises:
        ValueError: the two differ in size.
    """
    if a.num_patches != b.num_patches:
        raise ValueError(
            "SWD needs as many fakes as reals. "
            f"Received: {b.num_patches} and {a.num_patches} patches."
        )
    step = min(max(_SORT_BYTES // (4 * a.num_patches), 1), count)
    buffers = np.empty((2, step, a.num_patches), np.float32)
    total = 0.0
    for _ in range(repeats):
        directions = random_directions(rng, a.num_channels, count)
        for start in range(0, count, step):
            part = directions[:, start : start + step]
            p, q = buffers[:, : part.shape[1]]
            shifts = a.project(part, p) - b.project(part, q)
            for x, y, shift in zip(p, q, shifts, strict=True):  # a row fits the cache
                x.sort()
                y.sort()
                x -= y
                x -= shift
                total += float(np.mean(np.abs(x, out=x)))
    return total / (repeats * count)


def _finished(descriptors, what):
    if descriptors.num_fed < descriptors.num_images:
        raise ValueError(
            f"SWD was promised {descriptors.num_images} {what}. Received: {descriptors.num_fed}."
        )
    return descriptors.levels
