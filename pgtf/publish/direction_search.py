"""Finds directions of a generator: in closed form, by principal components, by boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.export.labels import one_hot
from pgtf.networks import Generator, latents_from_seeds

DENSE = "4x4/Dense/weight"  # the first layer; rows of latents, then of labels
BLOCK = "4x4"  # the layers whose features are the first
SHARE = 0.3  # of the images with the highest and the lowest scores, which a boundary separates
MIN_SIDE = 10  # images on each side of a boundary
BATCH = 64


def sefa(Gs: Generator, num: int) -> dict[str, np.ndarray]:
    """Computes the directions that change the first layer's output most, in closed form.

    They are the eigenvectors of A A^T with the largest eigenvalues, where A is the weight without
    the rows of the labels. Shen and Zhou 2021.

    Args:
        Gs: the generator.
        num: number of directions, at most latent_size.
    """
    weight = np.asarray(Gs.variables_by_name[DENSE], np.float64)[: Gs.latent_size]
    values, vectors = np.linalg.eigh(weight @ weight.T)
    order = np.argsort(values)[::-1][:num]
    return {f"sefa{i}": _signed(vectors[:, k]) for i, k in enumerate(order)}


def pca(Gs: Generator, num: int, num_images: int) -> dict[str, np.ndarray]:
    """Computes the directions of the principal components of the first features.

    Latents of seeds 0, 1, ... are regressed on the components' values. Härkönen et al. 2020.

    Args:
        Gs: the generator.
        num: number of directions.
        num_images: number of latents.
    """
    latents = _unit(latents_from_seeds(np.arange(num_images), Gs.latent_size).numpy())
    features = first_features(Gs, latents * np.sqrt(Gs.latent_size)).reshape(num_images, -1)
    centered = features - features.mean(axis=0)
    # The smaller of the two matrices of products: of the features, or of the images.
    if centered.shape[1] <= num_images:
        _, vectors = np.linalg.eigh(centered.T @ centered)
        scores = centered @ vectors[:, ::-1][:, :num]
    else:
        values, vectors = np.linalg.eigh(centered @ centered.T)
        scores = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :num]
    scaled = scores / np.maximum(scores.std(axis=0), 1e-12)
    regressed = scaled.T @ latents  # the components are uncorrelated
    return {f"pca{i}": _signed(vector) for i, vector in enumerate(regressed)}


def first_features(Gs: Generator, latents: np.ndarray) -> np.ndarray:
    """Computes the output of the first block: [N, L] -> float64 [N, H, W, C]."""
    model, alpha = Gs.model_at(Gs.lod)
    block = model.get_layer(BLOCK)
    parts = []
    for begin in range(0, len(latents), BATCH):
        rows = latents[begin : begin + BATCH]
        labels = None
        if Gs.config.label_size:
            labels = one_hot(np.arange(begin, begin + len(rows)), Gs.config.label_size)
        inputs = Gs.inputs(rows, labels, alpha)[:-1]
        parts.append(np.asarray(block(np.concatenate(inputs, axis=1)), np.float64))
    return np.concatenate(parts)


def boundaries(
    latents: np.ndarray,
    scores: Mapping[str, np.ndarray],
    factors: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Computes the normal of the plane that separates high from low scores, for every score.

    Each normal is made orthogonal to those of the other scores, so that a turn along it changes
    them little. Shen et al. 2020.

    Args:
        latents: [N, L].
        scores: name -> [N]; two values, or numbers of which the highest and lowest are separated.
        factors: name -> factor; the values of one factor exclude each other, so their normals are
            not made orthogonal. None = every score is a factor of its own.

    Raises:
        ValueError: scikit-learn is missing, or all images have the same score.
    """
    regression = _regression()
    unit = _unit(latents)
    normals = {}
    for name, values in scores.items():
        low, high = _sides(name, values)
        rows = np.concatenate([unit[low], unit[high]]) * np.sqrt(unit.shape[1])
        truth = np.repeat([0, 1], [low.sum(), high.sum()])
        model = regression(C=0.1, max_iter=1000, class_weight="balanced").fit(rows, truth)
        normals[name] = _unit(model.coef_[:1])[0]
    factor_of = factors or {name: name for name in normals}
    return {
        name: _across(normals[name], [x for y, x in normals.items() if factor_of[y] != factor])
        for name, factor in factor_of.items()
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
    return _unit(normal[np.newaxis])[0].astype(np.float32)


def _regression() -> Any:
    """Imports scikit-learn's logistic regression."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ValueError(
            "boundaries need the package scikit-learn: pip install scikit-learn."
        ) from None
    return LogisticRegression


def _unit(rows: np.ndarray) -> np.ndarray:
    """Scales rows to length 1."""
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def _signed(vector: np.ndarray) -> np.ndarray:
    """Scales a vector to length 1; its largest component is positive, because ±v are the same."""
    vector = vector / np.linalg.norm(vector)
    found: np.ndarray = (vector * np.sign(vector[np.abs(vector).argmax()])).astype(np.float32)
    return found
