"""Adapts the probability of ADA's operations to a signal of overfitting. Karras et al. 2020.

The signal is their r_v (Eq. 1): D's mean scores of training images, held-out images and fakes, all
under the same augmentation,

    (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fakes)])

It is 0 when D scores held-out images like those it was trained on, and 1 when it scores them like
fakes. Their other signal, r_t = E[sign D(train)], needs scores around zero; the scores of a
Wasserstein critic have no such centre.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pgtf.augment.config import AugmentConfig

# The difference between training images and fakes must exceed this many standard errors of it:
# below that the quotient is noise.
LEAST_SEPARATION = 2.0
SETS = ("train", "held_out", "fakes")  # images that D scores


class Scores(NamedTuple):
    """Mean of D's scores of some images, and the variance of that mean."""

    mean: float
    variance: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Scores:
        """Summarizes scores [N], N at least 2."""
        values = np.asarray(scores, np.float64).ravel()
        return cls(float(values.mean()), float(values.var(ddof=1) / len(values)))


def overfitting(train: Scores, held_out: Scores, fakes: Scores) -> float | None:
    """Returns r_v, or None where D does not tell training images from fakes."""
    separation = train.mean - fakes.mean
    noise = math.sqrt(train.variance + fakes.variance)
    if not separation > LEAST_SEPARATION * noise:  # NaN too
        return None
    return (train.mean - held_out.mean) / separation


@dataclasses.dataclass
class AugmentProgress:
    """State of the adaptation, a part of a checkpoint."""

    p: float = 0.0  # probability of each operation
    signal: float | None = None  # last one measured
    signal_mean: float | None = None  # over the last whole interval; p followed it
    num: int = 0  # measurements since then
    sums: dict[str, float] = dataclasses.field(default_factory=dict)  # of their means and variances

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1 or self.num < 0:
            raise ValueError(
                f"`p` must be in 0 ... 1, and `num` at least 0. Received: {self.p}, {self.num}."
            )

    def add(self, scores: Mapping[str, Scores]) -> None:
        """Adds a measurement: {"train": ..., "held_out": ..., "fakes": ...}."""
        values = {f"{name}_{k}": v for name, x in scores.items() for k, v in x._asdict().items()}
        if not all(map(math.isfinite, values.values())):  # D has diverged.
            return
        self.signal = overfitting(**scores)
        self.num += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def end_interval(self) -> None:
        """Computes the signal of the measurements since the last call, and forgets them."""
        self.signal_mean = None
        if self.num:
            self.signal_mean = overfitting(**{name: self._mean(name) for name in SETS})
        self.num, self.sums = 0, {}

    def _mean(self, name: str) -> Scores:
        mean, variance = (self.sums[f"{name}_{field}"] for field in Scores._fields)
        return Scores(mean / self.num, variance / self.num**2)


def next_p(p: float, signal: float | None, num_images: int, config: AugmentConfig) -> float:
    """Moves p by a fixed step towards more or less augmentation; without a signal it stays.

    Args:
        p: in 0 ... 1.
        signal: from `overfitting`.
        num_images: shown since the last step.
        config: target of the signal, and the images in which p can rise from 0 to 1.
    """
    if signal is None or not math.isfinite(signal):
        return p
    step = num_images / (config.aug_kimg * 1000)
    return min(max(p + math.copysign(step, signal - config.aug_target), 0.0), 1.0)
