"""Images as vectors whose distances the tests of privacy compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from pgtf.metrics.inception import Inception
from pgtf.metrics.neighbours import vectors

SIDE = 16  # pixels per side of the shapes
Kinds = Mapping[str, Callable[[np.ndarray], np.ndarray]]  # name -> [N, H, W, C] -> [N, D]


def pixels(images: np.ndarray) -> np.ndarray:
    """Makes vectors of pixels, one gray level of difference is 1: [N, H, W, C] -> float32 [N, D].

    Images of more than 64 pixels are means of boxes.
    """
    flat = vectors(images)
    return flat / np.float32(np.sqrt(flat.shape[1]))


def shapes(images: np.ndarray) -> np.ndarray:
    """Makes vectors without brightness, contrast and fine detail: [N, H, W, C] -> [N, D].

    Means of boxes, at most 16x16, without their mean and scaled to length 1.
    """
    num, height, width, _ = images.shape
    boxes = images.astype(np.float32)
    down, right = max(height // SIDE, 1), max(width // SIDE, 1)
    boxes = boxes[:, : height // down * down, : width // right * right]
    boxes = boxes.reshape(num, height // down, down, width // right, right, -1).mean(axis=(2, 4))
    boxes -= boxes.mean(axis=(1, 2), keepdims=True)
    flat = boxes.reshape(num, -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def kinds(inception: Inception | None = None) -> Kinds:
    """Returns the kinds of vectors by name; features only with their network."""

    named: dict[str, Callable[[np.ndarray], np.ndarray]] = {"pixels": pixels, "shapes": shapes}
    if inception is not None:
        named["Inception features"] = lambda images: inception(np.rint(images).astype(np.uint8))[0]
    return named


def gathered(batches: Iterable[np.ndarray], kinds: Kinds) -> dict[str, np.ndarray]:
    """Makes the vectors of images, which may be too many for memory: batches -> [N, D] by name."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in kinds}
    for images in batches:
        for name, make in kinds.items():
            parts[name].append(make(images))
    return {name: np.concatenate(rows) for name, rows in parts.items()}
