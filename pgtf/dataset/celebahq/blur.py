"""Gaussian blur of a mirror-padded image, with SciPy's bits: section 5 of docs/celebahq.md.

Along each axis, SciPy sums in float64 from the farthest pair of samples to the middle one and
stores float32. Another order of additions can round to another float32 only if the sum lies close
to the midpoint between two of them. `Sums` bounds this distance, and only the samples within it are
summed again in SciPy's order. Three things make the blur fast:

- samples with the same surroundings, in order or mirrored, are computed once;
- blocks of outputs are computed as matrix products;
- a block's matrix is symmetric under a half turn, so that products with the sum and the difference
  of the block's two halves need half the multiplications.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

TRUNCATE = 4.0  # standard deviations
BLOCK = 128  # outputs per matrix product
PANEL = 256  # lines blurred at a time, so that they stay in the cache
MAX_VALUE = 256.0  # upper bound of the samples
DARK = 1.0  # darker blocks are summed without differences, because their errors are absolute
ULP = 2.0**-53  # largest relative error of a float64 rounding
F32 = np.float32


def gaussian(sigma: float) -> np.ndarray:
    """Weights of the middle sample and of the samples 1..radius away: float64 [radius + 1]."""
    radius = int(TRUNCATE * sigma + 0.5)
    distance = np.arange(-radius, radius + 1)
    weights = np.exp((-0.5 / (sigma * sigma) * distance) * distance)
    weights /= weights.sum()
    return np.asarray(weights[radius:])


def mirrored(num: int, before: int, after: int) -> np.ndarray:
    """Source of each sample of a line of `num` padded by mirroring, ends not repeated: int64."""
    period = max(2 * (num - 1), 1)
    place = np.arange(-before, num + after) % period
    return np.asarray(np.minimum(place, period - place)) if num > 1 else np.zeros_like(place)


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of an image that is mirror-padded before it is blurred."""

    num: int  # samples before padding
    before: int  # samples of padding
    after: int
    radius: int  # radius of the blur, in samples

    @property
    def num_padded(self) -> int:
        return self.before + self.num + self.after

    @functools.cached_property
    def mirror(self) -> np.ndarray:
        """Source of each sample of the padded line."""
        return mirrored(self.num, self.before, self.after)

    @functools.cached_property
    def sources(self) -> np.ndarray:
        """Source of each sample from -radius to num_padded + radius.

        Beyond the padding, the blur repeats the padded line backwards, including its ends.
        """
        place = np.arange(-self.radius, self.num_padded + self.radius) % (2 * self.num_padded)
        place = np.minimum(place, 2 * self.num_padded - 1 - place)
        return self.mirror[place]

    @functools.cached_property
    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(self.num_padded)
        # If a sample's surroundings lie in the padded line, they are the surroundings of the
        # sample that it repeats, perhaps mirrored: both have the same blur.
        inside = (places >= self.radius) & (places < self.num_padded - self.radius)
        kinds = np.where(inside, self.mirror, self.num + places)
        _, first, copies = np.unique(kinds, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[copies]

    @property
    def distinct(self) -> np.ndarray:
        """Places in the padded line whose blur equals that of no earlier place, ascending."""
        return self._distinct[0]

    @property
    def copies(self) -> np.ndarray:
        """Index into `distinct` of the place that each place in the padded line equals."""
        return self._distinct[1]

    @property
    def blocks(self) -> list[range]:
        """Ranges of even length, at most BLOCK, that cover `distinct`."""
        result = []
        for run in np.split(self.distinct, np.flatnonzero(np.diff(self.distinct) > 1) + 1):
            size = min(BLOCK, len(run) + len(run) % 2, self.num_padded // 2 * 2)
            stops = [*range(int(run[0]) + size, int(run[-1]) + 1, size), int(run[-1]) + 1]
            result += [range(max(stop - size, 0), max(stop, size)) for stop in stops]
        return result


class Sums:
    """Matrix products that blur a block of `size` outputs, and bounds of their errors."""

    def __init__(self, weights: np.ndarray, size: int):
        radius = len(weights) - 1
        width = size + 2 * radius  # samples that the block sees
        line = np.concatenate([weights[:0:-1], weights])
        self.matrix = np.zeros((width, size))
        for output in range(size):
            self.matrix[output : output + len(line), output] = line
        half = self.matrix[:, : size // 2]
        upper, lower = half[: width // 2], half[: width // 2 - 1 : -1]
        self.even, self.odd = (upper + lower) / 2, (upper - lower) / 2
        # Both this sum and SciPy's round once per term.
        self.relative_error = ULP * (4 * radius + 16)
        self.absolute_error = ULP * (4 * (width / 2 + 4) + 2 * radius + 4) * MAX_VALUE

    def __call__(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Blurs a block: float64 [width, n] -> least and greatest float32 results [n, size]."""
        size, half = self.matrix.shape[1], len(samples) // 2
        upper, lower = samples[:half], samples[: half - 1 : -1]
        even = (upper + lower).T @ self.even
        odd = (upper - lower).T @ self.odd
        sums = np.empty((samples.shape[1], size))
        np.add(even, odd, out=sums[:, : size // 2])
        np.subtract(even, odd, out=sums[:, : size // 2 - 1 : -1])
        error: float | np.ndarray = self.absolute_error
        if sums.min() <= DARK:
            np.matmul(samples.T, self.matrix, out=sums)
            error = sums * self.relative_error
        sums -= error
        low = sums.astype(F32)
        sums += 2 * error
        return low, sums.astype(F32)


def blur_lines(image: np.ndarray, axis: Axis, weights: np.ndarray) -> np.ndarray:
    """Blurs along the first axis and transposes: [num, n] -> float32 [n, distinct]."""
    blocks = axis.blocks
    sums = {len(block): Sums(weights, len(block)) for block in blocks}
    result = np.empty((image.shape[1], axis.num_padded), F32)
    lines, places = [], []  # samples to sum again
    for start in range(0, image.shape[1], PANEL):
        panel = slice(start, start + PANEL)
        samples = image[:, panel].astype(np.float64)[axis.sources]
        for block in blocks:
            low, high = sums[len(block)](samples[block.start : block.stop + 2 * axis.radius])
            result[panel, block.start : block.stop] = low
            line, place = np.divmod(np.flatnonzero(low != high), len(block))
            lines.append(start + line)
            places.append(block.start + place)
    line, place = np.concatenate(lines), np.concatenate(places)
    result[line, place] = _blur_samples(image, axis, weights, line, place)
    return result[:, axis.distinct]


def _blur_samples(
    image: np.ndarray, axis: Axis, weights: np.ndarray, line: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Blurs single samples in SciPy's order: -> float64 [n]."""

    def samples(offset: int) -> np.ndarray:
        source = axis.sources[place + axis.radius + offset]
        return np.asarray(image[source, line], np.float64)

    total = samples(0) * weights[0]
    for distance in range(axis.radius, 0, -1):
        total += (samples(-distance) + samples(distance)) * weights[distance]
    return np.asarray(total)


def blur(plane: np.ndarray, rows: Axis, columns: Axis, weights: np.ndarray) -> np.ndarray:
    """Blurs a mirror-padded plane, columns first: [H, W] -> float32 [distinct, distinct]."""
    return blur_lines(blur_lines(plane, rows, weights), columns, weights)
