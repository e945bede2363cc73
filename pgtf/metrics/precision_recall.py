"""Improved precision and recall: the share of fakes that look real, of reals that can be made.

Kynkaanniemi et al. 2019, on Inception's pool3 features instead of VGG's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pgtf.metrics.interface import FeatureMeasure

NEIGHBOURHOOD = 3  # k of the k-th neighbour. Kynkaanniemi et al., Section 3
_BLOCK = 1024  # rows of the distance matrix in work at a time


class PrecisionRecall(FeatureMeasure):
    """Improved precision and recall."""

    name, title = "pr", "Precision and recall"
    default_images, min_images = 50000, NEIGHBOURHOOD + 1  # Kynkaanniemi et al.
    max_reals = 200_000  # The time grows with their square. The limit of StyleGAN's pr50k3_full
    name_suffixes = (str(NEIGHBOURHOOD),)

    def result(self) -> dict[str, float]:
        precision, recall = precision_recall(*self.features())
        return {"precision": precision, "recall": recall}


def precision_recall(
    reals: np.ndarray, fakes: np.ndarray, k: int = NEIGHBOURHOOD
) -> tuple[float, float]:
    """Share of each set that lies within the other's manifold: 2 x [n, D] -> (precision, recall).

    The manifold is the union of balls around the features, whose radii are the distances to the
    k-th neighbours within the set.

    Raises:
        ValueError: a set has no more than k images.
    """
    if min(len(reals), len(fakes)) <= k:
        raise ValueError(
            f"Precision and recall need {k + 1} images or more of each set. "
            f"Received: {len(reals)} reals, {len(fakes)} fakes."
        )
    # Distances do not depend on the origin, but small ones would be lost among large squares.
    centre = reals.mean(axis=0, dtype=np.float64).astype(np.float32)
    reals, fakes = (np.asarray(x, np.float32) - centre for x in (reals, fakes))
    return _share_within(fakes, reals, k), _share_within(reals, fakes, k)


def _share_within(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    """Share of the points inside the manifold of another set."""
    radii = np.empty(len(manifold), np.float32)
    for rows, distances in squared_distances(manifold, manifold):
        # The point itself is at distance 0, so its k-th neighbour has index k.
        radii[rows] = np.partition(distances, k, axis=1)[:, k]
    inside = 0
    for _, distances in squared_distances(points, manifold):
        inside += int(np.count_nonzero((distances <= radii).any(axis=1)))
    return inside / len(points)


def squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields (slice of rows, float32 [rows, len(b)]) of |a_i - b_j|^2, block by block."""
    lengths = np.einsum("nd,nd->n", b, b)
    for start in range(0, len(a), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(a)))
        part = a[rows]
        products = part @ b.T
        distances = np.einsum("nd,nd->n", part, part)[:, np.newaxis] + lengths - 2 * products
        yield rows, np.maximum(distances, 0)
