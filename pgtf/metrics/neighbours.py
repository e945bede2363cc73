"""The training images closest to some fakes, as a picture that shows memorised images."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from pgtf import images as image_functions
from pgtf import previews
from pgtf.foreign.terminal import one_line
from pgtf.images import UINT8_DRANGE
from pgtf.metrics.image_sets import ImageSet
from pgtf.metrics.precision_recall import squared_distances

NUM_FAKES, NUM_NEIGHBOURS = 16, 5
_MAX_SIDE = 64  # pixels; larger images are compared as means of boxes


def nearest_neighbours(
    reals: ImageSet,
    fakes: np.ndarray,
    num_neighbours: int = NUM_NEIGHBOURS,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the reals at the smallest root mean square difference of pixels.

    Args:
        reals: images of a definite number; read once.
        fakes: [n, H, W, C], as those of an `ImageSet`.
        num_neighbours: at most the number of reals.
        progress: show a progress bar.

    Returns:
        indices into the reals, nearest first, int64 [n, num_neighbours], and the differences in
        gray levels, float32 of the same shape.

    Raises:
        ValueError: the images differ in shape, or the reals have no definite number.
    """
    if reals.num_images is None:
        raise ValueError(f"`reals` must have a definite number of images. Received: {reals.name}.")
    if fakes.shape[1:] != tuple(reals.shape):
        raise ValueError(
            f"`fakes` must have images like {reals.name}, {list(reals.shape)}. "
            f"Received: {list(fakes.shape[1:])}."
        )
    num_reals = reals.num_images
    num_neighbours = min(num_neighbours, num_reals)
    queries = vectors(fakes)
    indices = np.zeros((len(fakes), 0), np.int64)
    distances = np.zeros((len(fakes), 0), np.float32)
    begin = 0
    with tqdm(total=num_reals, desc=one_line(reals.name), unit="img", disable=not progress) as bar:
        for batch in reals.batches(num_reals):
            (found,) = (block for _, block in squared_distances(queries, vectors(batch)))
            numbers = np.broadcast_to(np.arange(begin, begin + len(batch)), found.shape)
            indices = np.concatenate([indices, numbers], axis=1)
            distances = np.concatenate([distances, found], axis=1)
            order = np.argsort(distances, axis=1, kind="stable")[:, :num_neighbours]
            indices = np.take_along_axis(indices, order, axis=1)
            distances = np.take_along_axis(distances, order, axis=1)
            begin += len(batch)
            bar.update(len(batch))
    return indices, np.sqrt(distances / queries.shape[1])


def neighbour_sheet(
    reals: ImageSet,
    fakes: np.ndarray,
    num_neighbours: int = NUM_NEIGHBOURS,
    progress: bool = False,
    preview: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a picture with the fakes in the first row and their neighbours below, nearest first.

    Args and Raises as `nearest_neighbours`; `preview` chooses channels: see `pgtf.previews`.

    Returns:
        uint8 [(num_neighbours + 1) H, n W, 1 or 3], and the differences in gray levels [n, k].
    """
    indices, distances = nearest_neighbours(reals, fakes, num_neighbours, progress)
    rows = [fakes]
    for column in indices.T:
        rows.append(np.concatenate([reals.read(i, i + 1) for i in map(int, column)]))
    shown = previews.to_rgb(np.concatenate(rows), UINT8_DRANGE, preview)
    sheet = image_functions.image_grid(shown, (len(fakes), len(rows)))
    return sheet, distances


def vectors(images: np.ndarray) -> np.ndarray:
    """Flat float32 vectors: [n, H, W, C] -> [n, D], box means if larger than 64 pixels."""
    n, height, width, channels = images.shape
    factor = max(min(height, width) // _MAX_SIDE, 1)
    height, width = height // factor, width // factor
    x = images[:, : height * factor, : width * factor].astype(np.float32)
    x = x.reshape(n, height, factor, width, factor, channels).mean(axis=(2, 4))
    return np.ascontiguousarray(x).reshape(n, -1)
