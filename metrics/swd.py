"""Sliced Wasserstein distance between the local patches of two sets of images. Paper, Section 5.

For each level of a Laplacian pyramid, 128 patches of 7x7 pixels an image are drawn, normalised per
colour channel, and projected onto 4 x 128 random directions; the distance is the mean difference
of the sorted projections. Low is good; the finest level tells of sharpness, the coarsest of layout.
"""

import functools
import math
import os
import tempfile

import numpy as np

from metrics.pyramid import laplacian_pyramid, num_levels

PATCH = 7  # pixels a side
PATCHES_PER_IMAGE = 128
REPEATS, DIRECTIONS = 4, 128
LOW_PASS_PIVOT = 128  # gray levels, about the mean of a low-pass image; the other bands' is 0
SCALE = 1e3  # the paper reports SWD x 10^3
_BLOCK_BYTES = 1 << 20  # of float32 images in work at a time: about the second-level cache
_ROWS = 2048  # descriptors in work at a time
_SORT_BYTES = 1 << 29  # of projections held at a time, for each of the two sets


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
            level = Level(shape, patches_per_image, k == self.num_levels - 1, max_bytes)
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
            bands = laplacian_pyramid(part, self.num_levels)
            for level, band in zip(self.levels, bands, strict=True):
                level.store(self.num_fed, band)
            self.num_fed += len(part)


class Level:
    """Patches of one pyramid level as cut, float32 [patches, 49 C] in the order (y, x, channel).

    Either the patches are kept or the whole level, whichever is smaller.

    The original normalises with sums in float32, patch after patch, whose rounding shows in the
    sixth digit of the result. The sums here are added up in that order, so equal draws give equal
    values; the normalisation itself is left to the projection, which costs nothing there.

    Args:
        shape: (N, H, W, C) of all images at this level.
        patches_per_image: patches of each of them.
        is_low_pass: whether it is the last level.
        max_bytes: what may be kept in memory; a larger level goes to a temporary file.
    """

    def __init__(self, shape, patches_per_image, is_low_pass, max_bytes):
        num_images, self._height, self._width, self.num_channels = shape
        self._per_image = patches_per_image
        self.num_patches = num_images * patches_per_image
        patches_shape = (self.num_patches, PATCH * PATCH * self.num_channels)
        self._keeps_band = math.prod(shape) < math.prod(patches_shape)
        kept_shape = shape if self._keeps_band else patches_shape
        self.num_bytes = 4 * math.prod(kept_shape)
        self._kept = _allocate(kept_shape, self.num_bytes > max_bytes)
        self._centres = np.empty((2, self.num_patches), np.int32)  # x, y
        # Squares are taken around a pivot near the mean, so that none of them cancel.
        self._pivot = np.float32(LOW_PASS_PIVOT if is_low_pass else 0)
        self._sums = np.empty((2, self.num_patches, self.num_channels), np.float32)
        self._channel = np.tile(np.eye(self.num_channels, dtype=np.float32), (PATCH * PATCH, 1))

    def draw(self, begin, num_images, rng):
        """Draws the centres of the patches of images from `begin` on, x before y."""
        here = slice(begin * self._per_image, (begin + num_images) * self._per_image)
        for centres, side in zip(self._centres, (self._width, self._height), strict=True):
            size = (num_images * self._per_image,)
            centres[here] = rng.randint(PATCH // 2, side - PATCH // 2, size)

    def store(self, begin, band):
        """Takes the level of images from `begin` on: float32 [n, H, W, C]."""
        rows = slice(begin * self._per_image, (begin + len(band)) * self._per_image)
        patches = self._cut(band, rows)
        if self._keeps_band:
            self._kept[begin : begin + len(band)] = band
        else:
            self._kept[rows] = patches
        if self._pivot:
            patches -= self._pivot
        np.matmul(patches, self._channel, out=self._sums[0, rows])
        patches *= patches
        np.matmul(patches, self._channel, out=self._sums[1, rows])

    def patches(self, start, stop):
        """Patches from number `start` to `stop`, multiples of what an image has: [n, 49 C]."""
        rows = slice(start, stop)
        if not self._keeps_band:
            return self._kept[rows]
        return self._cut(self._kept[start // self._per_image : stop // self._per_image], rows)

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

    def projections(self, directions, out):
        """Projects the normalised patches: directions [49 C, k] -> out [k, patches].

        The patches are left as they are; the directions and an offset take their place.
        Deviation: a flat channel counts as 0 where the original divides 0 by 0.
        """
        mean, std = self.moments
        scaled = directions.reshape(PATCH * PATCH, self.num_channels, -1) / _or_one(std)[:, None]
        offsets = np.einsum("pck,c->k", scaled, mean.astype(np.float64)).astype(np.float32)
        weights = np.ascontiguousarray(scaled.reshape(directions.shape).T)
        step = max(_ROWS // self._per_image, 1) * self._per_image
        for start in range(0, self.num_patches, step):
            stop = min(start + step, self.num_patches)
            np.matmul(weights, self.patches(start, stop).T, out=out[:, start:stop])
            out[:, start:stop] -= offsets[:, None]

    def _cut(self, band, rows):
        image = np.repeat(np.arange(len(band)), self._per_image)
        x, y = self._centres[:, rows]
        return extract_patches(band, image, y, x)


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


def extract_patches(band, image, y, x):
    """Cuts 7x7 patches around (image, y, x): float32 [N, H, W, C], 3 x [n] -> [n, 49 C].

    One indexed item is a whole row of a patch, 7 C values that lie side by side in memory.
    """
    n, height, width, channels = band.shape
    row = np.dtype((np.void, PATCH * channels * band.itemsize))
    rows = np.ndarray((n, height, width - PATCH + 1), row, band, strides=band.strides[:3])
    offsets = np.arange(-(PATCH // 2), PATCH // 2 + 1)
    found = rows[image[:, None], y[:, None] + offsets, (x - PATCH // 2)[:, None]]  # [n, 7]
    return found.view(np.float32).reshape(len(image), PATCH * PATCH * channels)


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

    Rows of projections are contiguous, which is what sorting is fastest on.

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
            for level, out in ((a, p), (b, q)):
                level.projections(part, out)
                out.sort(axis=1)
            p -= q
            np.abs(p, out=p)
            total += np.sum(np.mean(p, axis=1), dtype=np.float64)
    return float(total / (repeats * count))


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


def _finished(descriptors, what):
    if descriptors.num_fed < descriptors.num_images:
        raise ValueError(
            f"SWD was promised {descriptors.num_images} {what}. Received: {descriptors.num_fed}."
        )
    return descriptors.levels
