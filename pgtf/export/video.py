"""Frames of films in latent space: a loop of a random walk, or a tour from latents to latents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from tqdm import tqdm

from pgtf import images
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.export import film, walk
from pgtf.networks import Generator

Cells = tuple[np.ndarray, np.ndarray | None]  # latents and labels of all cells at one time


def loop(
    latent_size: int,
    labels: np.ndarray | None,
    num_cells: int,
    num_frames: int,
    smoothing_frames: float,
    random_state: int,
) -> Iterator[Cells]:
    """Walks at random in every cell and returns to the beginning; see `walk.smooth_loop`.

    Args:
        latent_size: length of a latent vector.
        labels: [cells, label_size], which do not change, or None.
        num_cells: number of walks.
        num_frames: length of the loop.
        smoothing_frames: standard deviation of the Gaussian, in frames.
        random_state: seed for NumPy's RandomState.
    """
    walks = walk.smooth_loop(num_frames, num_cells, latent_size, smoothing_frames, random_state)
    return ((latents, labels) for latents in walks)


def tour(
    latents: np.ndarray,
    labels: np.ndarray | None,
    num_cells: int,
    num_frames: int,
    returns: bool,
) -> Iterator[Cells]:
    """Walks from each latent vector to the next in equal times; see `walk.along_arcs`.

    The first cell takes the first vectors, the next cell those that follow. Labels change linearly.

    Args:
        latents: [N, latent_size]; every cell takes N / cells of them.
        labels: [N, label_size], or None.
        num_cells: number of walks.
        num_frames: length of the tour.
        returns: if the tour ends where it began.

    Raises:
        ValueError: N is not a multiple of the cells with at least two vectors for each.
    """
    if len(latents) < 2 * num_cells or len(latents) % num_cells:
        cells = "at least two latent vectors"
        if num_cells > 1:
            cells += f" for each of the {num_cells} cells of `--grid`, as many for each"
        raise ValueError(
            f"a film between seeds or latents needs {cells}. Received: {len(latents)}."
        )
    keys = latents.reshape(num_cells, -1, latents.shape[1]).swapaxes(0, 1)  # [K, cells, L]
    if labels is None:
        return ((x, None) for x, *_ in walk.along_arcs(keys, num_frames, returns))
    rows = labels.reshape(num_cells, -1, labels.shape[1]).swapaxes(0, 1)
    return (
        (x, rows[begin] * np.float32(1 - t) + rows[end] * np.float32(t))
        for x, begin, end, t in walk.along_arcs(keys, num_frames, returns)
    )


def frames(
    Gs: Generator,
    walks: Iterable[Cells],
    num_frames: int,
    grid_size: tuple[int, int],
    lod: float | None,
    zoom: int,
    depth: Depth = EIGHT_BITS,
) -> Iterator[np.ndarray]:
    """Generates the frames of a film one by one: yields uint8 [H, W, 1 or 3]."""
    for latents, labels in tqdm(walks, total=num_frames, unit="frame", disable=None):
        grid = images.image_grid(Gs.run(latents, labels, lod), grid_size)
        yield film.zoomed(depth.shown(grid), zoom)
