"""Mode coverage: how many of the known kinds of images a generator makes, and how evenly.

A classifier reads the factors of each image. For the demo dataset they are skin, hair, glasses and
so on; a mode is one combination. For MNIST-1K (Metz et al. 2017; paper, App. D) it reads the digit
in each colour plane, and a mode is a number from 000 to 999.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.metrics.interface import Batch, Counts, Measure

CLASSIFIER = "classifier.npz"  # written into a dataset folder by python -m metrics train_classifier


class Modes(Measure):
    """Number of modes hit and reverse KL divergence from even use, according to a classifier."""

    name, title, better = "modes", "Modes hit", "higher"
    default_images = 25600  # paper, App. D
    needs, network_fields = "classifier", {"classifier_sha256": "sha256"}
    uses_reals, takes_evaluations = False, True

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        network.check(shape)
        self._values: list[np.ndarray] = []

    def notes(self) -> dict[str, Any]:
        return {"classifier_accuracy": self.network.accuracy}

    @classmethod
    def is_plotted(cls, value_name: str) -> bool:
        return not value_name.startswith("kl_")  # one per factor, too many for a plot

    def begin_fakes(self) -> None:
        self._values = []

    def feed_fakes(self, batch: Batch) -> None:
        self._values.append(self.network(batch.pixels))

    def result(self) -> dict[str, Any]:
        values = np.concatenate(self._values)
        sets = values.reshape(self.counts.evaluations, self.counts.images, *values.shape[1:])
        return mean_of([self.network.coverage(each) for each in sets])


def mean_of(found: Sequence[Mapping[str, int | float]]) -> dict[str, Any]:
    """Averages the values of several evaluations, and adds the standard deviation of the modes."""
    if len(found) == 1:
        return dict(found[0])
    means: dict[str, Any] = {n: float(np.mean([each[n] for each in found])) for n in found[0]}
    return means | {"modes_std": float(np.std([each["modes"] for each in found]))}


def coverage(values: np.ndarray, sizes: Mapping[str, int]) -> dict[str, int | float]:
    """Counts the modes hit and how far they are from even use: [N, factors] -> dict.

    Args:
        values: number of the value that an image shows of each factor, int.
        sizes: {factor: number of values}.

    Returns:
        `modes`: combinations that occur; `kl`: reverse KL divergence of all combinations from the
        uniform distribution, in nats; with several factors also `kl_FACTOR` for each.
    """
    shape = tuple(sizes.values())
    counts = np.bincount(np.ravel_multi_index(values.T, shape), minlength=math.prod(shape))
    found: dict[str, int | float] = {
        "modes": int(np.count_nonzero(counts)),
        "kl": reverse_kl(counts),
    }
    if len(sizes) > 1:
        for column, (name, size) in zip(values.T, sizes.items(), strict=True):
            found[f"kl_{name}"] = reverse_kl(np.bincount(column, minlength=size))
    return found


def reverse_kl(counts: np.ndarray) -> float:
    """KL divergence of observed counts [M] from the uniform distribution: sum p ln(M p).

    At least 0; ln(M) for a single mode. Perfect sampling gives about (M - 1) / 2N for N images.
    """
    p = counts[counts > 0] / counts.sum()
    return float(np.sum(p * np.log(len(counts) * p)))
