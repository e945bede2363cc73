"""Checks of what a source asks the exporter for."""

from __future__ import annotations

import numpy as np

from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.pyramid import check_size, size_of
from pgtf.dataset.tfrecords import MAX_CHANNELS
from pgtf.grids import Grid


def check_arguments(
    shape: tuple[int, int, int],
    num_items: int,
    labels: np.ndarray | None,
    max_errors: int | None,
    grid: Grid = PAPER_GRID,
) -> None:
    """Raises ValueError for images, labels or numbers that no dataset may have."""
    channels, height, width = shape
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"Images must have 1 to {MAX_CHANNELS} channels. Received: {channels} channels."
        )
    if grid == PAPER_GRID and height == width:
        size_of(width)
    check_size(height, width, grid)
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
