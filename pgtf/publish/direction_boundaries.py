"""Boundaries of scores in latent space: the normals of planes between high and low scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.publish.direction_search import unit

SHARE = 0.3  # a boundary separates this share with the highest scores from that with the lowest
MIN_SIDE = 10  # images on each side of a boundary


def normals(latents: np.ndarray, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Computes the normal of the plane that separates high from low scores, for every score.

    Args:
        latents: [N, L].
        scores: name -> [N]; two values, or numbers of which the highest and lowest are separated.

    Raises:
        ValueError: scikit-learn is missing, or all images have the same score.
    """
    regression = _regression()
    rows = unit(latents) * np.sqrt(latents.shape[1])
    found = {}
    for name, values in scores.items():
        low, high = _sides(name, values)
        truth = np.repeat([0, 1], [low.sum(), high.sum()])
        model = regression(C=0.1, max_iter=1000, class_weight="balanced")
        model.fit(np.concatenate([rows[low], rows[high]]), truth)
        found[name] = unit(model.coef_[:1])[0]
    return found


def orthogonal(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Makes each normal orthogonal to all others, so that a turn along it changes them little.

    Shen et al. 2020.
    """
    return {
        name: _across(normal, [x for other, x in found.items() if other != name])
        for name, normal in found.items()
    }


def _sides(name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the images on the two sides of a boundary: two masks [N]."""
    kinds = np.unique(values)
    if len(kinds) == 2:
        low, high = values == kinds[0], values == kinds[1]
    else:
        low, high = values <= np.quantile(values, SHARE), values >= np.quantile(values, 1 - SHARE)
    if min(low.sum(), high.sum()) < MIN_SIDE or (low & high).any():
        raise ValueError(
            f"`{name}`: at least {MIN_SIDE} images must have a low and {MIN_SIDE} a high score. "
            f"Received: {int(low.sum())} and {int(high.sum())} of {len(values)}."
        )
    return low, high


def _across(normal: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the part of a normal that is orthogonal to all others, of length 1."""
    if others:
        basis, sizes, _ = np.linalg.svd(np.array(others).T, full_matrices=False)
        basis = basis[:, sizes > 1e-6 * sizes[0]]
        rest = normal - basis @ (basis.T @ normal)
        # Scores that say the same have no part of their own; the normal itself is all there is.
        normal = rest if np.linalg.norm(rest) > 0.1 else normal
    return unit(normal[np.newaxis])[0].astype(np.float32)


def _regression() -> Any:
    """Imports scikit-learn's logistic regression."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ValueError(
            "boundaries need the package scikit-learn: pip install scikit-learn."
        ) from None
    return LogisticRegression
