"""Clean images: splits a folder into training and held-out images; makes patches of the former."""

from __future__ import annotations

import collections
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pgtf import images as images_lib
from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import FILE_ERRORS, converted, to_plain
from pgtf.foreign.pictures import open_picture, reason
from pgtf.restoration import degradation
from pgtf.restoration.config import Config

HELD_OUT = 10  # every tenth image is held out
CACHE_BYTES = 1 << 29  # memory for decoded images
AHEAD = 2  # minibatches prepared in advance
CROP = 512  # largest side of a held-out image, cut from its middle, pixels


class Photographs:
    """The images of a folder; the most recently used ones stay decoded in memory."""

    def __init__(self, folder: str, names: Sequence[str]) -> None:
        self._folder = folder
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
        try:
            with open_picture(path) as file:
                image = np.asarray(converted(to_plain(file, "white"), "RGB"))
        except FILE_ERRORS as error:
            raise ValueError(f"{path}: {reason(error)}. Remove the file.") from error
        self._cache[name] = image
        while sum(x.nbytes for x in self._cache.values()) > CACHE_BYTES and len(self._cache) > 1:
            self._cache.popitem(last=False)
        return image


def split(config: Config) -> tuple[Photographs, Photographs]:
    """Splits the images into those to train on and those to measure with.

    Raises:
        ValueError: there are too few, or one is too small or damaged.
        OSError: there is no such folder.
    """
    names, _ = list_images(config.images)
    if config.held_out is not None:
        held_out = Photographs(config.held_out, list_images(config.held_out)[0])
    else:
        held_out = Photographs(config.images, names[HELD_OUT // 2 :: HELD_OUT] or names[-1:])
        names = [name for name in names if name not in set(held_out.names)]
    least = config.patch + degradation.BLOCK
    sizes = {name: _size(os.path.join(config.images, name)) for name in names}
    usable = [name for name in names if min(sizes[name]) >= least]
    if not usable:
        raise ValueError(
            f"{config.images}: needs images of {least} pixels or more each way to train on, beside "
            f"those held out. Received: {len(names)} smaller ones."
        )
    return Photographs(config.images, usable), held_out


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


def _size(path: str) -> tuple[int, int]:
    try:
        with open_picture(path, pixels=False) as file:
            return file.size
    except FILE_ERRORS as error:
        raise ValueError(f"{path}: {reason(error)}. Remove the file.") from error
