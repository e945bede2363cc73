"""Checks of what a source asks the exporter for."""

from __future__ import annotations

import numpy as np

from pgtf.dataset.folder import MIN_RESOLUTION_LOG2
from pgtf.dataset.pyramid import has_pyramid


def check_arguments(
    shape: tuple[int, int, int], num_items: int, labels: np.ndarray | None, max_errors: int | None
) -> None:
    """Raises ValueError for images, labels or numbers that no dataset may have."""
    channels, height, width = shape
    if channels not in (1, 3) or height != width:
        raise ValueError(
            "Images must be square and have 1 or 3 channels. "
            f"Received: {width}x{height}, {channels} channels."
        )
    if not has_pyramid(width, height):
        raise ValueError(
            f"`resolution` must be a power of two of at least {1 << MIN_RESOLUTION_LOG2}. "
            f"Received: resolution={width}."
        )
    if num_items < 1:
        raise ValueError("There must be at least one image. Received: none.")
    if max_errors is not None and max_errors < 0:
        raise ValueError(f"`max_errors` must be at least 0. Received: max_errors={max_errors}.")
    if labels is not None and (
        len(labels) != num_items
        or labels.ndim not in (1, 2)
        or (labels.ndim == 1 and (labels.dtype.kind not in "iu" or labels.min() < 0))
    ):
        raise ValueError(
            f"`labels` must be a matrix with a row per image, {num_items}, or class numbers from "
            f"0. Received: shape={labels.shape}, dtype={labels.dtype}."
        )
