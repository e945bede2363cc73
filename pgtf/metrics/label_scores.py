"""Agreement of fakes with the labels that they were asked for.

Two readers look at the fakes: a small network trained on the reals, and D's own label head. Both
are scored on reals as well that they have not seen, the held-out part of the dataset if it has one:
what they cannot read there says nothing about fakes. A class or finding is scored by the area under
the ROC curve (AUC; 0.5 is chance), a number by its mean absolute error (MAE) in standard deviations
of the dataset (0.8 is chance).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgtf.dataset import open_dataset
from pgtf.dataset.description import num_held_out
from pgtf.label_groups import CONTINUOUS, LabelGroup
from pgtf.metrics import image_sets
from pgtf.metrics.image_sets import ImageSet
from pgtf.metrics.interface import Batch, Counts, Measure

SHARE = 10  # Without a held-out part, every tenth real is held out.
MAX_HELD_OUT = 5000
TYPICAL = 64  # images that D's head reads at a time

Head = Callable[[np.ndarray], np.ndarray]  # images in 0 ... 255 -> logits [n, L]


@dataclasses.dataclass(frozen=True)
class LabelData:
    """Labels of a dataset, and its images that training never saw."""

    groups: tuple[LabelGroup, ...]
    held_out: ImageSet | None = None  # None = the dataset holds out no images


def label_data(dataset: Any) -> LabelData | None:
    """Describes the labels of a pgtf.dataset.Dataset; None if it has none."""
    if not dataset.label_size:
        return None
    if dataset.first_image or not num_held_out(dataset.meta):
        return LabelData(dataset.label_groups)
    args = {"resolution": dataset.resolution, "max_label_size": dataset.label_size}
    others = open_dataset(dataset.path, **args, split="held_out")
    return LabelData(dataset.label_groups, image_sets.of_dataset(others, split="held_out"))


class LabelScores(Measure):
    """AUC and MAE of the labels of fakes: means over columns, then each column."""

    name, title = "labels", "Labels read from fakes: AUC, and MAE in deviations"
    default_images, min_images = 5000, 100
    needs = "labels"
    max_reals = 20000

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        self._data: LabelData = network
        self._reals: list[tuple[np.ndarray, np.ndarray]] = []  # images and labels
        self._reader: Any = None
        self._begin()

    def _begin(self) -> None:
        self._labels: list[np.ndarray] = []
        self._read: dict[str, list[np.ndarray]] = {"": [], "D_": []}
        self._head: Head | None = None

    def notes(self) -> dict[str, Any]:
        return {"held_out": len(self._held_out[1]), "by_split": self._data.held_out is not None}

    @classmethod
    def is_plotted(cls, value_name: str) -> bool:
        return ":" not in value_name  # one per column, too many for a plot

    def feed_reals(self, batch: Batch) -> None:
        self._reals.append((batch.images, _labels_of(batch)))

    def begin_fakes(self) -> None:
        self._begin()
        if self._reader is None:
            self._train()

    def _train(self) -> None:
        from pgtf.metrics.label_reader import LabelReader, shrunk  # It imports TensorFlow.

        images, labels = (np.concatenate(parts) for parts in zip(*self._reals, strict=True))
        self._reals = []
        held_out = self._data.held_out
        if held_out is None:
            self._held_out = images[::SHARE], labels[::SHARE]
            kept = np.arange(len(images)) % SHARE > 0
            images, labels = images[kept], labels[kept]
        else:
            num = min(held_out.num_images or 0, MAX_HELD_OUT)
            found = held_out.read(0, num), held_out.labels and held_out.labels(0, num)
            self._held_out = found[0], np.asarray(found[1])
        self._shrunk = shrunk
        self._reader = LabelReader(shrunk(images), labels, self._data.groups, self.seed)

    def feed_fakes(self, batch: Batch) -> None:
        labels, size = _labels_of(batch), self._data.groups[-1].columns[1]
        if labels.shape[1] != size:
            raise ValueError(
                f"`labels` needs fakes with the {size} label columns of the dataset. "
                f"Received: {labels.shape[1]}."
            )
        self._labels.append(labels)
        self._read[""].append(self._reader(self._shrunk(batch.images)))
        if batch.head is not None:
            self._head = batch.head
            self._read["D_"].append(batch.head(batch.images))

    def result(self) -> dict[str, float]:
        groups, labels = self._data.groups, np.concatenate(self._labels)
        images, of_images = self._held_out
        read = {"fakes": (np.concatenate(self._read[""]), labels)}
        read["reals"] = self._reader(self._shrunk(images)), of_images
        if self._head is not None:
            read["D_fakes"] = np.concatenate(self._read["D_"]), labels
            parts = [images[i : i + TYPICAL] for i in range(0, len(images), TYPICAL)]
            read["D_reals"] = np.concatenate([self._head(part) for part in parts]), of_images
        scores = {name: scores_of(*pair, groups) for name, pair in read.items()}
        means, columns = dict[str, float](), dict[str, float]()
        for kind in ("auc", "mae"):
            for name, found in scores.items():
                values = {column: x for (of, column), x in found.items() if of == kind}
                if values:
                    means[f"{kind}_{name}"] = float(np.mean([*values.values()]))
                columns |= {f"{kind}_{name}:{column}": x for column, x in values.items()}
        return means | columns


def scores_of(
    logits: np.ndarray, labels: np.ndarray, groups: Sequence[LabelGroup]
) -> dict[tuple[str, str], float]:
    """Scores read labels against true ones: two [N, L] -> {("auc" or "mae", column): value}.

    A class or finding that all images have, or none, has no AUC and is left out.
    """
    found = {}
    for group in groups:
        for column in range(*group.columns):
            name, read, true = group.name_of(column), logits[:, column], labels[:, column]
            if group.kind == CONTINUOUS:
                found["mae", name] = float(np.mean(np.abs(read - true)))
            elif 0 < (positive := true > 0.5).sum() < len(true):
                found["auc", name] = area_under_curve(read, positive)
    return found


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the share of pairs in the right order; equal scores count half."""
    import scipy.stats  # here, because the command line lists the metrics

    ranks = scipy.stats.rankdata(scores)
    num = int(positive.sum())
    wins = ranks[positive].sum() - num * (num + 1) / 2
    return float(wins / (num * (len(scores) - num)))


def _labels_of(batch: Batch) -> np.ndarray:
    if batch.labels is None:
        raise ValueError(
            "`labels` needs images whose labels are known: of a dataset, or a network."
        )
    return batch.labels
