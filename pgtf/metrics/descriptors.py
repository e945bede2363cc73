"""Patches of the Laplacian pyramids of a set of images: what SWD compares. Paper, Section 5."""

import functools
import math
import os
import tempfile

import numpy as np

from pgtf.metrics.patches import PATCH, cut, cut_band
from pgtf.metrics.pyramid import gaussian_pyramid, laplacian_band, num_levels

PATCHES_PER_IMAGE = 128  # paper, Section 5
LOW_PASS_PIVOT = 128  # gray levels, about the mean of a low-pass image; the other bands' is 0
_BLOCK_BYTES = 1 << 20  # of float32 images in work at a time: about the second-level cache
_ROWS = 2048  # patches in work at a time


class Descriptors:
    """Patches of one set of images, level by level, and what normalises them.

    Args:
        num_images: how many images will be fed.
        shape: (H, W, C) of them.
        patches_per_image: patches drawn from each level of each image.
        max_bytes: levels beyond this sum are kept in unnamed temporary files instead of memory.
    """

    def __init__(self, num_images, shape, patches_per_image=PATCHES_PER_IMAGE, max_bytes=1 << 32):
        height, width, num_channels = shape
        self.shape, self.num_images, self.num_fed = tuple(shape), num_images, 0
        self.num_levels = num_levels(height, width)
        self.levels = []
        for k in range(self.num_levels):
            shape = (num_images, height >> k, width >> k, num_channels)
            level = Level(k, shape, patches_per_image, max_bytes)
            max_bytes -= level.num_bytes
            self.levels.append(level)

    def feed(self, images, rng):
        """Adds uint8 [n, H, W, C]; images beyond `num_images` are left out.

        All positions of a call are drawn first, level by level, as in the original release: so
        the values depend on how images are grouped into calls.
        """
        images = images[: self.num_images - self.num_fed]
        for level in self.levels:
            level.draw(self.num_fed, len(images), rng)
        block = max(_BLOCK_BYTES // (4 * math.prod(self.shape)), 1)
        for start in range(0, len(images), block):
            part = images[start : start + block]
            pyramid = gaussian_pyramid(part, self.num_levels)
            for k, level in enumerate(self.levels):
                level.store(self.num_fed, *pyramid[k : k + 2])
            self.num_fed += len(part)


class Level:
    """Patches of one pyramid level as cut, float32 [patches, 49 C] in the order (y, x, channel).

    Either the patches are kept or the whole band, whichever is smaller.

    The original normalises with sums in float32, patch after patch, whose rounding shows in the
    sixth digit of the result. The sums here are added up in that order, so equal draws give equal
    values; the normalisation itself is left to the projection, which costs nothing there.

    Args:
        number: of the level, 0 = finest.
        shape: (N, H, W, C) of all images at this level.
        patches_per_image: patches of each of them.
        max_bytes: what may be kept in memory; a larger level goes to a temporary file.
    """

    def __init__(self, number, shape, patches_per_image, max_bytes):
        num_images, self._height, self._width, self.num_channels = shape
        self._is_finest, self._per_image = number == 0, patches_per_image
        self.num_patches = num_images * patches_per_image
        patches_shape = (self.num_patches, PATCH * PATCH * self.num_channels)
        self._keeps_band = math.prod(shape) < math.prod(patches_shape)
        kept_shape = shape if self._keeps_band else patches_shape
        self.num_bytes = 4 * math.prod(kept_shape)
        self._kept = _allocate(kept_shape, self.num_bytes > max_bytes)
        self._corners = np.empty((2, self.num_patches), np.int32)  # x, y of the first pixels
        self._sums = np.empty((2, self.num_patches, self.num_channels), np.float32)
        self._channel = np.tile(np.eye(self.num_channels, dtype=np.float32), (PATCH * PATCH, 1))

    def draw(self, begin, num_images, rng):
        """Draws where the patches of images from `begin` on are, x before y."""
        here = slice(begin * self._per_image, (begin + num_images) * self._per_image)
        margin = PATCH // 2  # what the original draws are the middles of patches
        for corners, side in zip(self._corners, (self._width, self._height), strict=True):
            size = (num_images * self._per_image,)
            corners[here] = rng.randint(margin, side - margin, size) - margin

    def store(self, begin, fine, coarse=None):
        """Takes images from `begin` on, at this level and the next: [n, H, W, C], [n, H/2, ...].

        Without the next level this one is the last, whose band is the low-pass image itself.
        """
        images = slice(begin, begin + len(fine))
        rows = slice(images.start * self._per_image, images.stop * self._per_image)
        image = np.repeat(np.arange(len(fine)), self._per_image)
        x, y = self._corners[:, rows]
        if self._keeps_band:
            self._kept[images] = (
                fine if coarse is None else laplacian_band(fine, coarse, self._is_finest)
            )
            patches = cut(self._kept[images], image, y, x)
        elif coarse is None:
            patches = self._kept[rows] = cut(fine, image, y, x)
        else:
            patches = self._kept[rows] = cut_band(fine, coarse, self._is_finest, image, y, x)
        self._count(rows, patches, LOW_PASS_PIVOT if coarse is None else 0)

    def _count(self, rows, patches, pivot):
        """Adds up each patch; squares are taken around a pivot near the mean, so none cancel."""
        self._pivot = np.float32(pivot)
        if pivot:
            patches = patches - self._pivot
        np.matmul(patches, self._channel, out=self._sums[0, rows])
        np.matmul(patches * patches, self._channel, out=self._sums[1, rows])

    def patches(self, start, stop):
        """Patches from number `start` to `stop`, multiples of what an image has: [n, 49 C]."""
        rows = slice(start, stop)
        if not self._keeps_band:
            return self._kept[rows]
        first = start // self._per_image
        image = np.repeat(np.arange(first, stop // self._per_image), self._per_image)
        x, y = self._corners[:, rows]
        return cut(self._kept, image, y, x)

    @functools.cached_property
    def moments(self):
        """Mean and standard deviation of each channel over all patches and pixels: float32 [C]."""
        count, pixels = self.num_patches * PATCH * PATCH, PATCH * PATCH
        sums, squares = self._sums
        mean = _sum_in_order(sums + pixels * self._pivot) / count
        offset = sums.sum(axis=0, dtype=np.float64) / count  # of the true mean from the pivot
        centred = squares - (2 * offset) * sums + pixels * offset**2
        return mean.astype(np.float32), np.sqrt(_sum_in_order(centred) / count).astype(np.float32)

    def normalized(self):
        """The original's descriptors: float32 [patches, 49 C], zero mean and unit variance."""
        mean, std = self.moments
        patches = self.patches(0, self.num_patches).reshape(-1, PATCH * PATCH, self.num_channels)
        return ((patches - mean) / _or_one(std)).reshape(self.num_patches, -1)

    def project(self, directions, out):
        """Projects patches onto directions [49 C, k]: out [k, patches], and -> offsets [k].

        `out` less the offsets is the projection of the normalised patches: the directions and the
        offsets are rewritten, the patches left as they are.
        Deviation: a flat channel counts as 0 where the original divides 0 by 0.
        """
        mean, std = self.moments
        scaled = directions.reshape(PATCH * PATCH, self.num_channels, -1) / _or_one(std)[:, None]
        weights = np.ascontiguousarray(scaled.reshape(directions.shape).T)
        step = max(_ROWS // self._per_image, 1) * self._per_image
        for start in range(0, self.num_patches, step):
            stop = min(start + step, self.num_patches)
            np.matmul(weights, self.patches(start, stop).T, out=out[:, start:stop])
        return np.einsum("pck,c->k", scaled, mean.astype(np.float64)).astype(np.float32)


def _sum_in_order(rows):
    """Sums [n, C] over n row after row in float32, as NumPy sums the original's patches."""
    return np.add.accumulate(rows.astype(np.float32), axis=0)[-1].astype(np.float64)


def _or_one(std):
    return np.where(std > 0, std, np.float32(1))


def _allocate(shape, in_file):
    if not in_file:
        return np.empty(shape, np.float32)
    # The file has no name and goes with the process, however that ends. Its space is taken now:
    # a disk that fills up later would end the process without a word.
    with tempfile.TemporaryFile() as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        return np.memmap(file, np.float32, "w+", shape=shape)
