"""A trained generator, where it came from, and what to ask it for."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.export import draws
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.networks import Generator


@dataclasses.dataclass(frozen=True)
class Source:
    """The moving average Gs of a snapshot or a pickle."""

    Gs: Generator
    path: Path  # of the file; results lie beside it unless --out says otherwise
    meta: dict[str, Any]  # what training noted in the snapshot; {} for a pickle

    @classmethod
    def of_snapshot(cls, path):
        return cls(load_snapshot(path)[2], Path(path), load_meta(path))

    @classmethod
    def of_pkl(cls, path):
        return cls(load_pkl(path)[2], Path(path), {})

    @property
    def label_size(self):
        return self.Gs.config.label_size

    @property
    def label_names(self):
        return tuple(self.meta.get("label_names", ()))

    @property
    def kimg(self):
        """Thousands of real images shown in training, or None."""
        cur_nimg = self.meta.get("cur_nimg")
        return None if cur_nimg is None else round(cur_nimg / 1000)

    def beside(self, suffix):
        """A path beside the file, of the same stem."""
        return self.path.with_name(self.path.stem + suffix)

    def label(self, class_=None, label=None):
        """The label [label_size] that --class or --label describe, None without them."""
        return draws.parse_label(self.label_size, self.label_names, class_, label)

    def labels(self, label, numbers):
        """Rows of one label, or without one the classes in turn: -> [N, label_size].

        Args:
            label: [label_size], or None for class number modulo label_size.
            numbers: of the images, such as their seeds.

        Returns:
            float32 rows; None for a network without labels.
        """
        if not self.label_size:
            return None
        if label is None:
            return draws.one_hot(numbers, self.label_size)
        return np.tile(label, (len(numbers), 1))
