"""Measures how well a generator can reproduce given images, by a search for their latents."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from pgtf.export.projection import MINIBATCH, Search
from pgtf.networks import Generator


def errors(
    Gs: Generator,
    targets: np.ndarray,
    latents: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    num_steps: int,
) -> np.ndarray:
    """Searches the latents of images from several starts each, with Adam.

    Args:
        Gs: generator; used at its own lod.
        targets: images [N, H, W, C] in [-1, 1], at the size of that lod.
        latents: starts [N, S, latent_size].
        labels: labels of the starts [N, S, label_size]; None for a network without.
        num_steps: number of Adam steps from each start.

    Returns:
        [N] root mean square difference of the closest image found, over halved resolutions, in gray
        levels of 255.
    """
    num, num_starts, size = latents.shape
    search = Search(Gs)
    starts = latents.reshape(-1, size).astype(np.float32)
    rows = None if labels is None else labels.reshape(len(starts), -1)
    best = np.full(len(starts), np.inf)
    for begin in tqdm(range(0, len(starts), MINIBATCH), unit="batch", disable=None):
        part = slice(begin, begin + MINIBATCH)
        wanted = targets[np.arange(num * num_starts)[part] // num_starts]
        given = None if rows is None else rows[part]
        for losses, _, _ in search.descend(starts[part], given, wanted, num_steps):
            best[part] = np.minimum(best[part], losses)
    found: np.ndarray = 127.5 * np.sqrt(best.reshape(num, num_starts).min(axis=1))
    return found
