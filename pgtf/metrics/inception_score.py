"""Inception score: exp of the mean divergence of p(y|x) from p(y). Salimans et al. 2016."""

from __future__ import annotations

from typing import Any

import numpy as np

from pgtf.metrics.interface import Batch, Counts, InceptionMeasure

NUM_SPLITS = 10


class InceptionScore(InceptionMeasure):
    """Inception score of the fakes and its standard deviation over ten splits; needs no reals."""

    name, title, better = "is", "Inception score", "higher"
    default_images, min_images = 50000, NUM_SPLITS  # Salimans et al.
    uses_reals = False

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        self._probabilities: list[np.ndarray] = []

    def begin_fakes(self) -> None:
        self._probabilities = []

    def feed_fakes(self, batch: Batch) -> None:
        self._probabilities.append(batch.probabilities)

    def result(self) -> dict[str, float]:
        mean, std = inception_score(np.concatenate(self._probabilities))
        return {"is": mean, "is_std": std}


def inception_score(probabilities: np.ndarray, num_splits: int = NUM_SPLITS) -> tuple[float, float]:
    """Mean and standard deviation over consecutive splits: [N, classes] -> (mean, std).

    Between 1 and the number of classes; higher is better. Split i of S holds the images from
    i N // S to (i + 1) N // S. The standard deviation divides by S, as in the original.

    Raises:
        ValueError: there are fewer images than splits.
    """
    p = np.asarray(probabilities, np.float64)
    if len(p) < num_splits:
        raise ValueError(
            f"Inception score needs {num_splits} images or more, one for each split. "
            f"Received: {len(p)}."
        )
    bounds = [i * len(p) // num_splits for i in range(num_splits + 1)]
    scores = [_score(p[i:j]) for i, j in zip(bounds[:-1], bounds[1:], strict=True)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(p: np.ndarray) -> float:
    import scipy.special

    # Deviation: 0 log 0 counts as 0, its limit; the original makes it NaN.
    divergence = scipy.special.rel_entr(p, p.mean(axis=0, keepdims=True))
    return float(np.exp(divergence.sum(axis=1).mean()))
