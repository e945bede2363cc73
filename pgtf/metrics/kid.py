"""Kernel Inception distance: unbiased, so usable with few images. Binkowski et al. 2018."""

from __future__ import annotations

import numpy as np

from pgtf.metrics.interface import FeatureMeasure

NUM_SUBSETS, SUBSET_SIZE = 100, 1000  # Binkowski et al., Section 5
DEGREE = 3
SCALE = 1e3  # KID is usually reported x 10^3


class Kid(FeatureMeasure):
    """Kernel Inception distance x 10^3 and its standard deviation over subsets."""

    name, title, better = "kid", "Kernel Inception distance x 10^3", "lower"
    default_images, min_images = 10000, 2
    max_reals = 1_000_000  # Their features need 8 GB of disk. The limit of StyleGAN's kid50k_full

    def result(self) -> dict[str, float]:
        mean, std = kernel_distance(*self.features(), np.random.RandomState(self.seed))
        return {"kid": SCALE * mean, "kid_std": SCALE * std}


def kernel_distance(
    reals: np.ndarray,
    fakes: np.ndarray,
    rng: np.random.RandomState,
    num_subsets: int = NUM_SUBSETS,
    subset_size: int = SUBSET_SIZE,
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3: 2 x [n, D] -> (mean, std).

    Each of `num_subsets` estimates uses `subset_size` features of either set without repeats;
    smaller sets are used whole. May be negative: its expectation is 0 for equal distributions.

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


def _squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    num = len(x)
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (num * (num - 1))
    return float(within - 2 * xy.mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (x @ y.T / x.shape[1] + 1) ** DEGREE
    return kernel
