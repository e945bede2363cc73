"""Sets of images to measure: datasets, folders of files, generators."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image
from tqdm import tqdm

from pgtf import images as image_functions

MINIBATCH = 64  # images per batch; SWD's random positions depend on it
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}


Labels = Callable[[np.random.RandomState, int], np.ndarray]  # (rng, n) -> [n, L]


class Dataset(Protocol):
    """The part of pgtf.dataset.Dataset that is used here."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def resolution(self) -> int: ...
    @property
    def num_channels(self) -> int: ...
    @property
    def num_images(self) -> int: ...
    @property
    def label_size(self) -> int: ...

    def read_images(self, indices: Sequence[int]) -> np.ndarray:
        """[n] -> uint8 [n, R, R, C]."""

    def read_labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[n] -> float32 [n, L]."""


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images that can be read more than once, always in the same order."""

    name: str
    shape: tuple[int, int, int]  # (H, W, C)
    num_images: int | None  # None = any number
    read: Callable[[int, int], np.ndarray]  # (begin, end) -> uint8 [end - begin, H, W, C]
    lod: float | None = None  # lod of the generator; None = no generator

    def batches(self, num_images: int) -> Iterator[np.ndarray]:
        """Yields the first images in arrays of MINIBATCH: uint8 [n, H, W, C]."""
        for begin in range(0, num_images, MINIBATCH):
            yield self.read(begin, min(begin + MINIBATCH, num_images))

    def sha256(self, num_images: int, progress: bool = False) -> str:
        """Hashes the shape and the pixels of the first images, which are read once."""
        digest = hashlib.sha256(repr((num_images, self.shape)).encode())
        what = f"hash of {self.name}"
        with tqdm(total=num_images, desc=what, unit="img", disable=not progress) as bar:
            for batch in self.batches(num_images):
                digest.update(np.ascontiguousarray(batch).data)
                bar.update(len(batch))
        return digest.hexdigest()


def of_array(name: str, images: np.ndarray) -> ImageSet:
    """Set of images in memory: uint8 [N, H, W, C]."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"`images` must be uint8 [N, H, W, C]. Received: {images.dtype} {list(images.shape)}."
        )
    return ImageSet(name, images.shape[1:], len(images), lambda begin, end: images[begin:end])


def of_dataset(dataset: Dataset, mirror_seed: int | None = None) -> ImageSet:
    """Images of a pgtf.dataset.Dataset in the order of their records.

    Args:
        dataset: the dataset.
        mirror_seed: seed for flipping each image with probability 0.5; None = flip none.
    """
    shape = (dataset.resolution, dataset.resolution, dataset.num_channels)
    if mirror_seed is None:
        return ImageSet(
            dataset.name,
            shape,
            dataset.num_images,
            lambda begin, end: dataset.read_images(range(begin, end)),
        )
    flips = np.random.RandomState(mirror_seed).uniform(size=dataset.num_images) >= 0.5

    def read(begin: int, end: int) -> np.ndarray:
        found = dataset.read_images(range(begin, end))
        return np.where(flips[begin:end, None, None, None], found[:, :, ::-1], found)

    return ImageSet(f"{dataset.name} (mirrored at random)", shape, dataset.num_images, read)


def of_folder(folder: str | os.PathLike[str]) -> ImageSet:
    """Image files of a folder, in the order of their names; all of one size.

    Raises:
        OSError: there is no such folder.
        ValueError: it holds no images. Reading raises one for a file of another size.
    """
    paths = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"{folder}: no images in it (files ending in {kinds}).")
    shape = _load(paths[0]).shape

    def read(begin: int, end: int) -> np.ndarray:
        found = [_load(path) for path in paths[begin:end]]
        for path, image in zip(paths[begin:end], found, strict=True):
            if image.shape != shape:
                raise ValueError(
                    f"{path}: all images must have the size and channels of {paths[0].name}, "
                    f"{list(shape)}. Received: {list(image.shape)}."
                )
        return np.stack(found)

    return ImageSet(str(folder), shape, len(paths), read)


def of_generator(
    name: str,
    run: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    latent_size: int,
    shape: tuple[int, int, int],
    seed: int,
    labels: Labels | None = None,
) -> ImageSet:
    """Fakes whose latents follow from a seed alone, so that all snapshots get the same ones.

    Images smaller than `shape`, which a snapshot at lod > 0 generates, are enlarged by repeating
    pixels, as in the original release.

    Args:
        name: name in errors, for example the path of the snapshot.
        run: (latents [n, latent_size], labels [n, L] or None) -> float32 [n, R, R, C] in [-1, 1],
            or uint8.
        latent_size: length of a latent vector.
        shape: (H, W, C) at full resolution.
        seed: seed of the latents and labels.
        labels: function that samples labels, or None.
    """

    def read(begin: int, end: int) -> np.ndarray:
        # Each batch has its own random stream, so that reading may begin anywhere.
        rng = np.random.RandomState([seed, begin])
        latents = rng.randn(end - begin, latent_size).astype(np.float32)
        found = np.asarray(run(latents, None if labels is None else labels(rng, end - begin)))
        if found.dtype != np.uint8:
            _check_finite(name, found, begin)
            found = image_functions.to_uint8(found)
        return _enlarged(name, found, shape)

    return ImageSet(name, shape, None, read)


def of_network(name: str, Gs: Any, seed: int, labels: Labels | None = None) -> ImageSet:
    """Fakes of a pgtf.networks.Generator at its own lod; see `of_generator`."""
    size, channels = Gs.config.resolution, Gs.config.num_channels
    shape = (size, size, channels)
    found = of_generator(name, Gs.run, Gs.latent_size, shape, seed, labels)
    return dataclasses.replace(found, lod=float(Gs.lod))


def labels_of(dataset: Dataset) -> Labels | None:
    """Returns a function that samples label rows of a dataset, None if it has no labels."""
    if not dataset.label_size:
        return None
    return lambda rng, num: dataset.read_labels(rng.randint(dataset.num_images, size=num))


def _load(path: Path) -> np.ndarray:
    """Reads one file as uint8 [H, W, 1 or 3]."""
    try:
        with PIL.Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip them at 255.
                raise ValueError(f"8 bits per channel are needed, and its mode is {image.mode}")
            gray = image.mode in ("1", "L", "LA")
            array = np.asarray(image.convert("L" if gray else "RGB"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable image ({error}).") from error
    return array[:, :, np.newaxis] if array.ndim == 2 else array


def _enlarged(name: str, images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Repeats pixels up to full resolution: [n, h, w, C] -> [n, H, W, C]."""
    factor = max(shape[0] // images.shape[1], 1)
    enlarged = images.repeat(factor, axis=1).repeat(factor, axis=2)
    if enlarged.shape[1:] != shape:
        raise ValueError(
            f"{name}: must make images of {list(shape)}, or of a fraction of that size. "
            f"Received: {list(images.shape[1:])}."
        )
    return enlarged


def _check_finite(name: str, found: np.ndarray, begin: int) -> None:
    bad = ~np.isfinite(found).all(axis=(1, 2, 3))
    if bad.any():
        raise ValueError(
            f"{name}: must make finite images. Received: NaN or infinity in image "
            f"{begin + int(bad.argmax())}."
        )
