"""A trained generator with its origin, and the labels it can be asked for."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.export.labels import one_hot, parse_label
from pgtf.export.samples import Samples
from pgtf.foreign import hub
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.interop.weights import sha256_of
from pgtf.networks import Discriminator, Generator


@dataclasses.dataclass(frozen=True)
class Source:
    """The moving average Gs of a snapshot or a pickle."""

    Gs: Generator
    path: Path  # its file; results lie beside it unless --out says otherwise
    meta: dict[str, Any]  # notes of the training in the snapshot; {} for a pickle
    G: Generator | None = None  # the other networks of the file
    D: Discriminator | None = None

    @classmethod
    def from_snapshot(cls, path: str | os.PathLike[str]) -> Source:
        """Loads a snapshot."""
        G, D, Gs = load_snapshot(path)
        return cls(Gs, Path(path), load_meta(path), G, D)

    @classmethod
    def from_pkl(cls, path: str | os.PathLike[str]) -> Source:
        """Loads a pickle of the original release."""
        G, D, Gs = load_pkl(path)
        return cls(Gs, Path(path), {}, G, D)

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights of Gs, which marks name: see `interop.weights.sha256_of`."""
        return sha256_of(self.Gs)

    @property
    def label_size(self) -> int:
        """Number of label columns, 0 without labels."""
        return int(self.Gs.config.label_size)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label columns, () if unknown."""
        return tuple(self.meta.get("label_names", ()))

    @property
    def kimg(self) -> int | None:
        """Thousands of real images shown in training, None if unknown."""
        cur_nimg = self.meta.get("cur_nimg")
        return None if cur_nimg is None else round(cur_nimg / 1000)

    def beside(self, suffix: str) -> Path:
        """Returns a path beside the file, with the same stem; not in the cache of a hub."""
        return hub.place(self.path, suffix) or self.path.with_name(self.path.stem + suffix)

    def label(self, class_: str | None = None, label: str | None = None) -> np.ndarray | None:
        """Reads the label [label_size] that --class or --label describe, None without them."""
        return parse_label(self.label_size, self.label_names, class_, label)

    def labels(
        self, label: np.ndarray | None, numbers: Sequence[int] | np.ndarray
    ) -> np.ndarray | None:
        """Makes rows of one label, or without one of the classes in turn: [N, label_size].

        Args:
            label: [label_size], or None for class number modulo label_size.
            numbers: numbers of the images, such as their seeds.

        Returns:
            float32 rows; None for a network without labels.
        """
        if not self.label_size:
            return None
        if label is None:
            return one_hot(numbers, self.label_size)
        return np.tile(label, (len(numbers), 1))

    def labels_of(self, sampled: Samples, label: np.ndarray | None) -> np.ndarray | None:
        """Makes the labels of samples: `label`, else those of their file, else as `labels`."""
        if label is None and sampled.labels is not None:
            return sampled.labels
        return self.labels(label, sampled.numbers)
