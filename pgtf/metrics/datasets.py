"""Datasets as metrics use them: their images and labels, subsets of one label, sampled labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from pgtf.label_groups import CONTINUOUS, LabelGroup, standardised

Labels = Callable[[np.random.RandomState, int], np.ndarray]  # (rng, n) -> [n, L]


class Dataset(Protocol):
    """The part of pgtf.dataset.Dataset that is used here."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def value_range(self) -> tuple[float, float]: ...
    @property
    def label_groups(self) -> tuple[LabelGroup, ...]: ...
    @property
    def num_channels(self) -> int: ...
    @property
    def num_images(self) -> int: ...
    @property
    def label_size(self) -> int: ...

    def read_images(self, indices: Sequence[int]) -> np.ndarray:
        """[n] -> [n, H, W, C] of `dtype`."""

    def read_labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[n] -> float32 [n, L]."""


class Subset:
    """Images of a dataset that have a label: a `Dataset` of its own.

    Args:
        dataset: the dataset.
        indices: numbers of the images.
        name: name of the subset.
    """

    def __init__(self, dataset: Any, indices: np.ndarray, name: str) -> None:
        self._dataset, self._indices = dataset, indices
        self.name, self.num_images = name, len(indices)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def read_images(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[n] -> [n, H, W, C] of `dtype`."""
        found: np.ndarray = self._dataset.read_images(self._indices[np.asarray(indices)])
        return found

    def read_labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """[n] -> float32 [n, L]."""
        found: np.ndarray = self._dataset.read_labels(self._indices[np.asarray(indices)])
        return found


def by_label(dataset: Dataset) -> Iterator[tuple[str, Subset]]:
    """Yields (name, its images) of every class and finding that an image of a dataset has."""
    rows = dataset.read_labels(range(dataset.num_images))
    for group in dataset.label_groups:
        for column in range(*group.columns) if group.kind != CONTINUOUS else ():
            indices = np.flatnonzero(rows[:, column] > 0.5)
            if len(indices):
                name = group.name_of(column)
                yield name, Subset(dataset, indices, f"{dataset.name} (label {name})")


def labels_of(
    dataset: Dataset, groups: Sequence[LabelGroup] | None = None, label_size: int | None = None
) -> Labels | None:
    """Returns a function that samples label rows of a dataset, as networks see them.

    Args:
        dataset: the dataset; without labels the result is None.
        groups: kinds of the columns in the networks' training; None = the dataset's.
        label_size: number of columns in use; None = the dataset's.
    """
    if not dataset.label_size:
        return None
    kinds = dataset.label_groups if groups is None else groups

    def sample(rng: np.random.RandomState, num: int) -> np.ndarray:
        rows = dataset.read_labels(rng.randint(dataset.num_images, size=num))
        found: np.ndarray = standardised(rows[:, :label_size], kinds)
        return found

    return sample
