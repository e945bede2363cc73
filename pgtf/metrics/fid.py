"""Frechet distance between Gaussians fitted to the features of two sets. Heusel et al. 2017.

With the 2048 pool3 features of the 2015 Inception network it is the FID. It falls with the number
of images even between equal distributions, so compare values of equal numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from pgtf.metrics.interface import Batch, Counts, InceptionMeasure

NUM_FEATURES = 2048  # the covariance of fewer images has not full rank


class Fid(InceptionMeasure):
    """Frechet Inception distance."""

    name, title, better = "fid", "Frechet Inception distance", "lower"
    default_images, min_images = 50000, 2  # Heusel et al. 2017
    state_name = "statistics"
    default_reals = "all"

    def __init__(
        self, counts: Counts, shape: tuple[int, int, int], seed: int, network: Any = None
    ) -> None:
        super().__init__(counts, shape, seed, network)
        self._reals, self._fakes = FeatureStatistics(), FeatureStatistics()
        self._state: Mapping[str, np.ndarray] = {}
        fewest = min(counts.fakes, counts.reals)
        if fewest < NUM_FEATURES:
            logging.warning(
                "FID of %d images, fewer than its %d features, says little.", fewest, NUM_FEATURES
            )

    def feed_reals(self, batch: Batch) -> None:
        self._reals.feed(batch.features)

    def reals_state(self) -> dict[str, np.ndarray]:
        mean, covariance = self._reals.mean_and_covariance()
        return {"mean": mean, "covariance": covariance}

    def restore_reals(self, state: Mapping[str, np.ndarray]) -> None:
        self._state = state

    def begin_fakes(self) -> None:
        if not self._state:
            self._state = self.reals_state()
        self._fakes = FeatureStatistics()

    def feed_fakes(self, batch: Batch) -> None:
        self._fakes.feed(batch.features)

    def result(self) -> dict[str, float]:
        reals = self._state["mean"], self._state["covariance"]
        return {"fid": frechet_distance(*reals, *self._fakes.mean_and_covariance())}


class FeatureStatistics:
    """Mean and covariance (n - 1) of feature vectors, added up in float64 block by block."""

    def __init__(self) -> None:
        self.num = 0
        self._origin: np.ndarray | None = None

    def feed(self, features: np.ndarray) -> None:
        """Adds [n, D]."""
        x = np.asarray(features, np.float64)
        if self._origin is None:  # Sums around the first block's mean do not cancel.
            self._origin = x.mean(axis=0)
            self._sum = np.zeros(x.shape[1])
            self._products = np.zeros((x.shape[1], x.shape[1]))
        x = x - self._origin
        self.num += len(x)
        self._sum += x.sum(axis=0)
        self._products += x.T @ x

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean, float64 [D], and the covariance, [D, D].

        Raises:
            ValueError: fewer than two vectors were fed.
        """
        if self._origin is None or self.num < 2:
            raise ValueError(f"FID needs two images or more. Received: {self.num}.")
        mean = self._sum / self.num
        covariance = (self._products - self.num * np.outer(mean, mean)) / (self.num - 1)
        return self._origin + mean, covariance


def frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)): 2 x (float64 [D], [D, D]) -> float.

    The trace of (A B)^(1/2) is the sum of the root eigenvalues of the symmetric product
    A^(1/2) B A^(1/2). These roots are the singular values of A^(1/2) B^(1/2), which are computed
    directly: the root of an eigenvalue that is 0 but for rounding, 1e-16, would be 1e-8. For the
    same reason the roots of A and B leave out their null spaces. May be negative by rounding.

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    arrays = [np.asarray(x, np.float64) for x in (mean_a, covariance_a, mean_b, covariance_b)]
    mean_a, covariance_a, mean_b, covariance_b = arrays
    size = len(mean_a)
    if [x.shape for x in arrays] != [(size,), (size, size)] * 2:
        raise ValueError(
            "Frechet distance needs statistics of equal size: means [D], covariances [D, D]. "
            f"Received: {', '.join(str(list(x.shape)) for x in arrays)}."
        )
    if not all(np.all(np.isfinite(x)) for x in arrays):
        raise ValueError("Frechet distance needs finite statistics. Received: NaN or infinity.")
    product = _root(covariance_a).T @ _root(covariance_b)
    trace_of_root = np.linalg.svd(product, compute_uv=False).sum() if product.size else 0.0
    squared = np.sum((mean_a - mean_b) ** 2)
    return float(squared + np.trace(covariance_a) + np.trace(covariance_b) - 2 * trace_of_root)


def _root(covariance: np.ndarray) -> np.ndarray:
    """Root R [D, rank] with R R^T = covariance, symmetric and positive semi-definite."""
    eigenvalues, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    rounding = len(eigenvalues) * np.finfo(np.float64).eps * max(eigenvalues[-1], 0)
    kept = eigenvalues > rounding
    root: np.ndarray = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return root
