"""Clean images: splits a folder into training and held-out images; makes patches of the former."""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pgtf import images as images_lib
from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import converted, to_plain
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.reading import read_or_refuse
from pgtf.foreign.limits import MAX_PIXELS
from pgtf.foreign.pictures import open_picture
from pgtf.restoration import degradation
from pgtf.restoration.config import Config

REMEDY = "Remove the file."
HELD_OUT = 10  # every tenth image is held out
CACHE_BYTES = 1 << 29  # memory for decoded images
AHEAD = 2  # minibatches prepared in advance
CROP = 512  # largest side of a held-out image, cut from its middle, pixels


class Photographs:
    """The images of a folder; the most recently used ones stay decoded in memory."""

    def __init__(
        self,
        folder: str,
        names: Sequence[str],
        value_range: Range | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._folder, self._value_range, self._max_pixels = folder, value_range, max_pixels
        self.names = list(names)
        self._cache: collections.OrderedDict[str, np.ndarray] = collections.OrderedDict()

    def read(self, name: str) -> np.ndarray:
        """Decodes an image: uint8 [H, W, 3].

        Raises:
            ValueError: the file cannot be used.
        """
        if name in self._cache:
            self._cache.move_to_end(name)
            return self._cache[name]
        path = os.path.join(self._folder, name)
        image = read_or_refuse(path, functools.partial(self._decode, path), REMEDY)
        self._cache[name] = image
        while sum(x.nbytes for x in self._cache.values()) > CACHE_BYTES and len(self._cache) > 1:
            self._cache.popitem(last=False)
        return image

    def _decode(self, path: str) -> np.ndarray:
        with open_picture(path, max_pixels=self._max_pixels) as file:
            return np.asarray(converted(to_plain(file, "white", self._value_range), "RGB"))


def split(config: Config, max_pixels: int = MAX_PIXELS) -> tuple[Photographs, Photographs]:
    """Splits the images into those to train on and those to measure with.

    Args:
        config: names the folders.
        max_pixels: of a file.

    Raises:
        ValueError: there are too few, or one is too small or damaged.
        OSError: there is no such folder.
    """
    names, _ = list_images(config.images)
    if config.held_out is not None:
        folder, measured = config.held_out, list_images(config.held_out)[0]
    else:
        folder, measured = config.images, names[HELD_OUT // 2 :: HELD_OUT] or names[-1:]
        names = [name for name in names if name not in set(measured)]
    held_out = Photographs(folder, measured, config.value_range, max_pixels)
    least = config.patch + degradation.BLOCK
    sizes = {name: _size(os.path.join(config.images, name), max_pixels) for name in names}
    usable = [name for name in names if min(sizes[name]) >= least]
    if not usable:
        raise ValueError(
            f"{config.images}: needs images of {least} pixels or more each way to train on, beside "
            f"those held out. Received: {len(names)} smaller ones."
        )
    return Photographs(config.images, usable, config.value_range, max_pixels), held_out


def minibatches(
    photographs: Photographs, config: Config, nimg: int
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yields degraded and clean patches, float32 NHWC in [-1, 1], from patch number `nimg` on.

    Patch i is a function of (seed, i) only.
    """

    def make(first: int) -> tuple[np.ndarray, np.ndarray]:
        pairs = []
        for number in range(first, first + config.minibatch):
            rng = np.random.default_rng((config.seed, number))
            image = photographs.read(photographs.names[int(rng.integers(len(photographs.names)))])
            pairs.append(degradation.pair(config.task, image, config.patch, rng))
        degraded, clean = (images_lib.to_float(np.stack(x)) for x in zip(*pairs, strict=True))
        return degraded, clean

    with ThreadPoolExecutor(1) as pool:  # One thread, because the cache is not thread-safe.
        starts = range(nimg, config.total_nimg, config.minibatch)
        pending = collections.deque(pool.submit(make, start) for start in starts[:AHEAD])
        for start in (*starts[AHEAD:], *[None] * min(AHEAD, len(starts))):
            ready = pending.popleft()
            if start is not None:
                pending.append(pool.submit(make, start))
            yield ready.result()


def held_out_crops(photographs: Photographs, max_images: int) -> list[np.ndarray]:
    """Cuts the middles of evenly chosen images, sides a multiple of 4: uint8 [H, W, 3] each."""
    names = photographs.names
    chosen = [names[i * len(names) // max_images] for i in range(max_images)]
    crops = []
    for name in dict.fromkeys(chosen if len(names) > max_images else names):
        image = photographs.read(name)
        height, width = (min(side, CROP) // 4 * 4 for side in image.shape[:2])
        if min(height, width) >= degradation.BLOCK * 4:
            top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
            crops.append(np.ascontiguousarray(image[top : top + height, left : left + width]))
    if not crops:
        raise ValueError("held-out images must be 32 pixels or more each way. Received: none.")
    return crops


def _size(path: str, max_pixels: int) -> tuple[int, int]:
    def look() -> tuple[int, int]:
        with open_picture(path, pixels=False, max_pixels=max_pixels) as file:
            return file.size

    return read_or_refuse(path, look, REMEDY)
