"""Inception score: exp of the mean divergence of p(y|x) from p(y). Salimans et al. 2016."""

import numpy as np
import scipy.special

NUM_SPLITS = 10


def inception_score(probabilities, num_splits=NUM_SPLITS):
    """Mean and standard deviation over consecutive splits: [N, classes] -> (mean, std).

    Between 1 and the number of classes; high is good. Split i of S holds the images from
    i N // S to (i + 1) N // S, and the deviation is that of a population, as in the original.

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


def _score(p):
    # Deviation: 0 log 0 counts as 0, its limit; the original makes it NaN.
    divergence = scipy.special.rel_entr(p, p.mean(axis=0, keepdims=True))
    return np.exp(divergence.sum(axis=1).mean())
