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

import numpy as np

from pgtf.augment.config import AugmentConfig

# The difference between training images and fakes must exceed this many standard errors of it:
# below that the quotient is noise.
LEAST_SEPARATION = 2.0


@dataclasses.dataclass(frozen=True)
class Scores:
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
