"""Patches from the Laplacian pyramids of a set of images, for SWD. Paper, Section 5."""

from __future__ import annotations

import functools
import math

import numpy as np

from pgtf.metrics.patches import PATCH, cut, cut_band
from pgtf.metrics.pyramid import gaussian_pyramid, laplacian_band, num_levels
from pgtf.metrics.storage import allocate

PATCHES_PER_IMAGE = 128  # paper, Section 5
LOW_PASS_PIVOT = 128  # gray levels, about the mean of a low-pass image; other bands' mean is 0
_BLOCK_BYTES = 1 << 20  # float32 images in work at a time: about the second-level cache
_ROWS = 2048  # patches in work at a time


class Descriptors:
    """Patches of one set of images, level by level, and the moments that normalise them.

    Args:
        num_images: number of images that will be fed.
        shape: (H, W, C) of the images.
        patches_per_image: patches sampled from each level of each image.
        max_bytes: levels beyond this total are kept in unnamed temporary files, not in memory.
    """

    def __init__(
        self,
        num_images: int,
        shape: tuple[int, int, int],
        patches_per_image: int = PATCHES_PER_IMAGE,
        max_bytes: int = 1 << 32,
    ) -> None:
        height, width, num_channels = shape
        self.shape, self.num_images, self.num_fed = shape, num_images, 0
        self.num_levels = num_levels(height, width)
        self.levels: list[Level] = []
        for k in range(self.num_levels):
            level_shape = (num_images, height >> k, width >> k, num_channels)
            level = Level(k, level_shape, patches_per_image, max_bytes)
            max_bytes -= level.num_bytes
            self.levels.append(level)

    def feed(self, images: np.ndarray, rng: np.random.RandomState) -> None:
        """Adds images [n, H, W, C]; those beyond `num_images` are left out.

        They are uint8, or float32 on the same scale.

        All positions of a call are sampled first, level by level, as in the original release.
        Therefore the values depend on how images are grouped into calls.
        """
        images = images[: self.num_images - self.num_fed]
        for level in self.levels:
            level.sample(self.num_fed, len(images), rng)
        block = max(_BLOCK_BYTES // (4 * math.prod(self.shape)), 1)
        for start in range(0, len(images), block):
            part = images[start : start + block]
            pyramid = gaussian_pyramid(part, self.num_levels)
            for k, level in enumerate(self.levels):
                level.store(self.num_fed, *pyramid[k : k + 2])
            self.num_fed += len(part)


class Level:
    """Patches of one pyramid level, float32 [patches, 49 C] in the order (y, x, channel).

    They are kept as cut, without normalisation: either the patches or the whole band, whichever is
    smaller.

    The original normalises with sums in float32, patch after patch, whose rounding shows in the
    sixth digit of the result. The sums here are added up in that order, so equal random numbers
    give equal values; `project` applies the normalisation, which costs nothing there.

    Args:
        number: number of the level, 0 = finest.
        shape: (N, H, W, C) of all images at this level.
        patches_per_image: patches sampled from each image.
        max_bytes: most bytes to keep in memory; a larger level goes to a temporary file.
    """

    def __init__(
        self, number: int, shape: tuple[int, int, int, int], patches_per_image: int, max_bytes: int
    ) -> None:
        num_images, self._height, self._width, self.num_channels = shape
        self._is_finest, self._per_image = number == 0, patches_per_image
        self.num_patches = num_images * patches_per_image
        patches_shape = (self.num_patches, PATCH * PATCH * self.num_channels)
        self._keeps_band = math.prod(shape) < math.prod(patches_shape)
        kept_shape = shape if self._keeps_band else patches_shape
        self.num_bytes = 4 * math.prod(kept_shape)
        self._kept = allocate(kept_shape, self.num_bytes > max_bytes)
        self._corners = np.empty((2, self.num_patches), np.int32)  # x, y of the first pixels
        self._sums = np.empty((2, self.num_patches, self.num_channels), np.float32)
        self._channel = np.tile(np.eye(self.num_channels, dtype=np.float32), (PATCH * PATCH, 1))

    def sample(self, begin: int, num_images: int, rng: np.random.RandomState) -> None:
        """Samples the positions of patches in images from `begin` on, x before y."""
        here = slice(begin * self._per_image, (begin + num_images) * self._per_image)
        margin = PATCH // 2  # The original samples the centres of patches.
        for corners, side in zip(self._corners, (self._width, self._height), strict=True):
            size = (num_images * self._per_image,)
            corners[here] = rng.randint(margin, side - margin, size) - margin

    def store(self, begin: int, fine: np.ndarray, coarse: np.ndarray | None = None) -> None:
        """Keeps images from `begin` on, at this level and the next: [n, H, W, C], [n, H/2, ...].

        Without a next level, the band is the low-pass image itself.
        """
        images = slice(begin, begin + len(fine))
        is_finest = self._is_finest and fine.dtype == np.uint8
        rows = slice(images.start * self._per_image, images.stop * self._per_image)
        image = np.repeat(np.arange(len(fine)), self._per_image)
        x, y = self._corners[:, rows]
        if self._keeps_band:
            self._kept[images] = fine if coarse is None else laplacian_band(fine, coarse, is_finest)
            patches = cut(self._kept[images], image, y, x)
        elif coarse is None:
            patches = self._kept[rows] = cut(fine, image, y, x)
        else:
            patches = self._kept[rows] = cut_band(fine, coarse, is_finest, image, y, x)
        self._count(rows, patches, LOW_PASS_PIVOT if coarse is None else 0)

    def _count(self, rows: slice, patches: np.ndarray, pivot: int) -> None:
        """Sums up each patch, and squares around a pivot near the mean, so that nothing cancels."""
        self._pivot = np.float32(pivot)
        if pivot:
            patches = patches - self._pivot
        np.matmul(patches, self._channel, out=self._sums[0, rows])
        np.matmul(patches * patches, self._channel, out=self._sums[1, rows])

    def patches(self, start: int, stop: int) -> np.ndarray:
        """Patches from `start` to `stop`, both multiples of the patches per image: [n, 49 C]."""
        rows = slice(start, stop)
        if not self._keeps_band:
            kept: np.ndarray = self._kept[rows]
            return kept
        first = start // self._per_image
        image = np.repeat(np.arange(first, stop // self._per_image), self._per_image)
        x, y = self._corners[:, rows]
        return cut(self._kept, image, y, x)

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over all patches and pixels: float32 [C]."""
        count, pixels = self.num_patches * PATCH * PATCH, PATCH * PATCH
        sums, squares = self._sums
        mean = _sum_in_order(sums + pixels * self._pivot) / count
        offset = sums.sum(axis=0, dtype=np.float64) / count  # true mean less pivot
        centred = squares - (2 * offset) * sums + pixels * offset**2
        return mean.astype(np.float32), np.sqrt(_sum_in_order(centred) / count).astype(np.float32)

    def normalized(self) -> np.ndarray:
        """The original's descriptors: float32 [patches, 49 C], zero mean and unit variance."""
        mean, std = self.moments
        patches = self.patches(0, self.num_patches).reshape(-1, PATCH * PATCH, self.num_channels)
        scaled: np.ndarray = (patches - mean) / _or_one(std)
        return scaled.reshape(self.num_patches, -1)

    def project(self, directions: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Projects patches onto directions [49 C, k] into out [k, patches]. Returns offsets [k].

        `out` less the offsets is the projection of the normalised patches: scaled directions give
        it without a normalised copy of the patches.
        Deviation: a flat channel counts as 0 where the original divides 0 by 0.
        """
        mean, std = self.moments
        scaled = directions.reshape(PATCH * PATCH, self.num_channels, -1) / _or_one(std)[:, None]
        weights = np.ascontiguousarray(scaled.reshape(directions.shape).T)
        step = max(_ROWS // self._per_image, 1) * self._per_image
        for start in range(0, self.num_patches, step):
            stop = min(start + step, self.num_patches)
            np.matmul(weights, self.patches(start, stop).T, out=out[:, start:stop])
        offsets: np.ndarray = np.einsum("pck,c->k", scaled, mean.astype(np.float64))
        return offsets.astype(np.float32)


def _sum_in_order(rows: np.ndarray) -> np.ndarray:
    """Sums [n, C] over n row after row in float32, as NumPy sums the original's patches."""
    sums: np.ndarray = np.add.accumulate(rows.astype(np.float32), axis=0)[-1]
    return sums.astype(np.float64)


def _or_one(std: np.ndarray) -> np.ndarray:
    return np.where(std > 0, std, np.float32(1))
