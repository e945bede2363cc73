"""A trained generator with its origin, and the labels it can be asked for."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.depth import Depth
from pgtf.export.labels import default_rows, parse_label
from pgtf.export.samples import Samples
from pgtf.foreign import hub
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.interop.weights import sha256_of
from pgtf.label_groups import LabelGroup, check, from_json, one_class, standardised
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
    def groups(self) -> tuple[LabelGroup, ...]:
        """Kinds of the label columns; () without labels."""
        return groups_of(self.path, self.meta, self.label_size)

    @property
    def depth(self) -> Depth:
        """Type and range of the values of the images that the network was trained on."""
        return depth_of(self.path, self.meta)

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
        return parse_label(self.groups, class_, label)

    def labels(
        self, label: np.ndarray | None, numbers: Sequence[int] | np.ndarray
    ) -> np.ndarray | None:
        """Makes rows of one label, or without one those of `default_rows`: [N, label_size].

        Args:
            label: [label_size], or None.
            numbers: numbers of the images, such as their seeds.

        Returns:
            float32 rows; None for a network without labels.
        """
        if not self.label_size:
            return None
        if label is None:
            return default_rows(numbers, self.groups)
        return np.tile(label, (len(numbers), 1))

    def labels_of(self, sampled: Samples, label: np.ndarray | None) -> np.ndarray | None:
        """Makes the labels of samples: `label`, else those of their file, else as `labels`."""
        if label is None and sampled.labels is not None:
            found: np.ndarray = standardised(sampled.labels, self.groups)
            return found
        return self.labels(label, sampled.numbers)


def groups_of(
    path: str | os.PathLike[str], meta: Mapping[str, Any], label_size: int
) -> tuple[LabelGroup, ...]:
    """Reads the kinds of a network's label columns from the notes of its snapshot.

    Without them all columns are one class, as in the original release.

    Raises:
        ValueError: the notes are damaged.
    """
    if not meta.get("label_groups"):
        return one_class(label_size, meta.get("label_names", ()))
    groups = from_json(meta["label_groups"])  # Their types were checked with the file.
    try:
        check(groups, label_size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return groups


def depth_of(path: str | os.PathLike[str], meta: Mapping[str, Any]) -> Depth:
    """Reads type and range of the images from the notes of a snapshot.

    Raises:
        ValueError: the notes are damaged.
    """
    try:
        return Depth.from_json(meta)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: damaged notes about its images ({error}).") from None
