"""Finds directions of a generator without data: in closed form, and by principal components."""

from __future__ import annotations

import numpy as np

from pgtf.networks import Generator, latents_from_seeds

DENSE = "4x4/Dense/weight"  # the first layer; rows of latents, then of labels
BLOCK = "4x4"  # the layers whose features are the first
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


def pca(
    Gs: Generator, num: int, num_images: int, labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Computes the directions of the principal components of the first features.

    Latents of seeds 0, 1, ... are regressed on the components' values. Härkönen et al. 2020.

    Args:
        Gs: the generator.
        num: number of directions.
        num_images: number of latents.
        labels: their labels [num_images, label_size]; None for a network without.
    """
    latents = unit(latents_from_seeds(np.arange(num_images), Gs.latent_size).numpy())
    features = first_features(Gs, latents * np.sqrt(Gs.latent_size), labels)
    features = features.reshape(num_images, -1)
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


def first_features(Gs: Generator, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Computes the output of the first block: [N, L], [N, K] or None -> float64 [N, H, W, C]."""
    model, alpha = Gs.model_at(Gs.lod)
    block = model.get_layer(BLOCK)
    parts = []
    for begin in range(0, len(latents), BATCH):
        rows = slice(begin, begin + BATCH)
        inputs = Gs.inputs(latents[rows], None if labels is None else labels[rows], alpha)[:-1]
        parts.append(np.asarray(block(np.concatenate(inputs, axis=1)), np.float64))
    return np.concatenate(parts)


def unit(rows: np.ndarray) -> np.ndarray:
    """Scales rows to length 1."""
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def _signed(vector: np.ndarray) -> np.ndarray:
    """Scales a vector to length 1; its largest component is positive, because ±v are the same."""
    vector = vector / np.linalg.norm(vector)
    found: np.ndarray = (vector * np.sign(vector[np.abs(vector).argmax()])).astype(np.float32)
    return found
