"""Sets of images to measure: datasets, folders of files, generators."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from pgtf.dataset.folder import Part
from pgtf.dataset.sources.image_folder import Fitting, open_image_folder
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.foreign.terminal import one_line
from pgtf.images import to_float
from pgtf.label_groups import standardised
from pgtf.metrics.datasets import Dataset, Labels

MINIBATCH = 64  # images per batch; SWD's random positions depend on it


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images that can be read more than once, always in the same order."""

    name: str
    shape: tuple[int, int, int]  # (H, W, C)
    num_images: int | None  # None = any number
    # (begin, end) -> uint8 [end - begin, H, W, C]; float32 in 0 ... 255 for values of other types
    read: Callable[[int, int], np.ndarray]
    # (begin, end) -> their labels as networks see them [end - begin, L]; None = unknown
    labels: Callable[[int, int], np.ndarray] | None = None
    head: Callable[[np.ndarray], np.ndarray] | None = None  # images -> D's label logits
    lod: float | None = None  # lod of the generator; None = no generator
    mirror: bool = False  # True if images are flipped at random
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)  # for records

    def batches(self, num_images: int) -> Iterator[np.ndarray]:
        """Yields the first images in arrays of MINIBATCH: [n, H, W, C], as `read`."""
        for begin in range(0, num_images, MINIBATCH):
            yield self.read(begin, min(begin + MINIBATCH, num_images))

    def sha256(self, num_images: int, progress: bool = False) -> str:
        """Hashes the shape and the pixels of the first images, which are read once."""
        digest = hashlib.sha256(repr((num_images, self.shape)).encode())
        what = f"hash of {one_line(self.name)}"
        with tqdm(total=num_images, desc=what, unit="img", disable=not progress) as bar:
            for batch in self.batches(num_images):
                digest.update(np.ascontiguousarray(batch).data)
                bar.update(len(batch))
        return digest.hexdigest()


def in_random_order(image_set: ImageSet, seed: int, stream: int = 0) -> ImageSet:
    """The same images in an order drawn from a seed, so that the first N are a random choice.

    Names of files often begin with the class, and datasets may have been created without shuffling.
    A set of any number of images, a generator's, stays as it is: its images are random already.

    Args:
        image_set: the images.
        seed: seed of the order.
        stream: another number gives an independent order, for example of the fakes.
    """
    if image_set.num_images is None:
        return image_set
    order = np.random.RandomState([seed, stream]).permutation(image_set.num_images)

    def read(begin: int, end: int) -> np.ndarray:
        return np.concatenate([image_set.read(i, i + 1) for i in map(int, order[begin:end])])

    labels_of_set = image_set.labels

    def labels(begin: int, end: int) -> np.ndarray:
        numbers = map(int, order[begin:end])
        return np.concatenate([labels_of_set(i, i + 1) for i in numbers if labels_of_set])

    return dataclasses.replace(image_set, read=read, labels=labels if labels_of_set else None)


def of_array(name: str, images: np.ndarray) -> ImageSet:
    """Set of images in memory: uint8 [N, H, W, C]."""
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"`images` must be uint8 [N, H, W, C]. Received: {images.dtype} {list(images.shape)}."
        )
    return ImageSet(name, images.shape[1:], len(images), lambda begin, end: images[begin:end])


def of_dataset(dataset: Dataset, mirror_seed: int | None = None, split: Part = "train") -> ImageSet:
    """Images of a pgtf.dataset.Dataset in the order of their records.

    Values of other types than uint8 are put on its scale, 0 ... 255, without rounding, so that
    values of a metric can be compared.

    Args:
        dataset: the dataset.
        mirror_seed: seed for flipping each image with probability 0.5; None = flip none.
        split: part of it that was opened; records name it unless it is that of training.
    """
    shape, depth = (*dataset.size, dataset.num_channels), Depth.of(dataset)
    name = dataset.name if split == "train" else f"{dataset.name} (split {split})"
    notes: dict[str, Any] = {} if split == "train" else {"split": split}
    notes |= {} if depth.is_8bit else {"values": depth.text}

    def read_plain(begin: int, end: int) -> np.ndarray:
        return depth.levels(dataset.read_images(range(begin, end)))

    def read_labels(begin: int, end: int) -> np.ndarray:
        rows = dataset.read_labels(range(begin, end))
        found: np.ndarray = standardised(rows, dataset.label_groups)
        return found

    labels = read_labels if dataset.label_size else None
    if mirror_seed is None:
        return ImageSet(name, shape, dataset.num_images, read_plain, labels, notes=notes)
    flips = np.random.RandomState(mirror_seed).uniform(size=dataset.num_images) >= 0.5

    def read(begin: int, end: int) -> np.ndarray:
        found = read_plain(begin, end)
        return np.where(flips[begin:end, None, None, None], found[:, :, ::-1], found)

    name = f"{name} (mirrored at random)"
    return ImageSet(name, shape, dataset.num_images, read, labels, mirror=True, notes=notes)


def of_folder(
    folder: str | os.PathLike[str], fitting: Fitting | None = None, progress: bool = False
) -> ImageSet:
    """Image files of a folder and the folders below it, in the order of their names.

    They are read as create_from_images reads them; see `open_image_folder`.

    Args:
        folder: folder of image files.
        fitting: conversion to one size and number of channels; None = Fitting().
        progress: show a progress bar while the kinds of all files are read.

    Raises:
        OSError: there is no such folder.
        ValueError: it holds no images, or a file has another size. Reading raises one for a file
            that is damaged.
    """
    fitting = fitting or Fitting()
    found = open_image_folder(os.fspath(folder), fitting, progress)
    chosen: dict[str, object] = {"transform": fitting.transform, "alpha": fitting.alpha}
    # Statistics that an older version kept have no others.
    chosen |= {k: v for k in ("pad", "value_range") if (v := getattr(fitting, k)) is not None}
    changes = [f"{k} {v}" for k, v in chosen.items() if v not in ("none", "error")]
    name = f"{folder} ({', '.join(changes)})" if changes else str(folder)
    notes: dict[str, Any] = {}
    if found.num_skipped:
        logging.warning("%s: skipped %d files that are no images", folder, found.num_skipped)
        notes["skipped"] = found.num_skipped
    if found.num_converted:
        kind = {1: "gray", 3: "RGB"}[found.shape[2]]
        count = f"{found.num_converted} of {len(found.paths)}"
        logging.warning("%s: converted %s images to %s", folder, count, kind)
        notes["converted"] = found.num_converted
    return ImageSet(name, found.shape, len(found.paths), found.read, notes=notes)


def of_generator(
    name: str,
    run: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    latent_size: int,
    shape: tuple[int, int, int],
    seed: int,
    labels: Labels | None = None,
    depth: Depth = EIGHT_BITS,
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
        depth: type and range of the values to which the images are rounded.
    """

    def inputs(begin: int, end: int) -> tuple[np.ndarray, np.ndarray | None]:
        # Each batch has its own random stream, so that reading may begin anywhere.
        rng = np.random.RandomState([seed, begin])
        latents = rng.randn(end - begin, latent_size).astype(np.float32)
        return latents, None if labels is None else labels(rng, end - begin)

    def read(begin: int, end: int) -> np.ndarray:
        found = np.asarray(run(*inputs(begin, end)))
        if found.dtype != np.uint8:
            _check_finite(name, found, begin)
            found = depth.levels(depth.from_model(found))
        return _enlarged(name, found, shape)

    def asked(begin: int, end: int) -> np.ndarray:
        return np.asarray(inputs(begin, end)[1])

    return ImageSet(name, shape, None, read, None if labels is None else asked)


def of_network(
    name: str,
    Gs: Any,
    seed: int,
    labels: Labels | None = None,
    depth: Depth = EIGHT_BITS,
    D: Any = None,
) -> ImageSet:
    """Fakes of a pgtf.networks.Generator at its own lod; see `of_generator`.

    D is the discriminator of the same training, whose label head may be scored; None = unknown.
    """
    shape = (*Gs.config.image_size, Gs.config.num_channels)
    found = of_generator(name, Gs.run, Gs.latent_size, shape, seed, labels, depth)

    def head(images: np.ndarray) -> np.ndarray:
        # Minibatch statistics need whole groups, so the first images fill up the last one.
        missing = -len(images) % D.config.group_of(len(images))
        whole = np.concatenate([images, images[:missing]])
        x = to_float(whole) if whole.dtype == np.uint8 else whole / 127.5 - 1
        logits: np.ndarray = D(x.astype(np.float32), lod=D.lod)[1].numpy()
        return logits[: len(images)]

    has_head = D is not None and labels is not None
    return dataclasses.replace(found, lod=float(Gs.lod), head=head if has_head else None)


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
