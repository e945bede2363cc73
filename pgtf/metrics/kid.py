"""Kernel Inception distance: unbiased, so usable with few images. Binkowski et al. 2018."""

import numpy as np

NUM_SUBSETS, SUBSET_SIZE = 100, 1000  # Binkowski et al., Section 5
DEGREE = 3


def kernel_distance(reals, fakes, rng, num_subsets=NUM_SUBSETS, subset_size=SUBSET_SIZE):
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3: 2 x [n, D] -> (mean, std).

    Each of `num_subsets` estimates takes `subset_size` features of either set without repeats;
    sets smaller than that are taken whole. May be negative: its expectation is 0 for equal
    distributions.

    Args:
        reals, fakes: features.
        rng: np.random.RandomState.

    Raises:
        ValueError: a set has fewer than two images.
    """
    size = min(subset_size, len(reals), len(fakes))
    if size < 2:
        raise ValueError(
            "KID needs two images or more of each set. "
            f"Received: {len(reals)} reals, {len(fakes)} fakes."
        )
    estimates = []
    for _ in range(num_subsets):
        x, y = (
            np.asarray(features[rng.choice(len(features), size, replace=False)], np.float64)
            for features in (reals, fakes)
        )
        estimates.append(_squared_mmd(x, y))
    return float(np.mean(estimates)), float(np.std(estimates))


def _squared_mmd(x, y):
    num = len(x)
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (num * (num - 1))
    return within - 2 * xy.mean()


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** DEGREE
