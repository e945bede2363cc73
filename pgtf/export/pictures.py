"""Writes generated images as PNG files: one per image, or a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pgtf import files, images
from pgtf.export.labels import one_hot
from pgtf.networks import Generator

MINIBATCH = 16  # images generated at a time
MAX_CLASS_ROWS = images.MAX_GRID_SIDE


def save_images(
    Gs: Generator,
    names: Sequence[str],
    latents: np.ndarray,
    labels: np.ndarray | None,
    lod: float | None,
    out: Path,
    overwrite: bool = False,
) -> None:
    """Writes OUT/<name>.png for every latent vector.

    Raises:
        FileExistsError: if one of the files exists, before any is written.
    """
    paths = [out / f"{name}.png" for name in names]
    for path in paths:
        refuse_existing(path, overwrite)
    out.mkdir(parents=True, exist_ok=True)
    for begin in tqdm(range(0, len(paths), MINIBATCH), unit="batch", disable=None):
        part = slice(begin, begin + MINIBATCH)
        fakes = Gs.run(latents[part], None if labels is None else labels[part], lod)
        for path, fake in zip(paths[part], fakes, strict=True):
            images.save_png(path, fake)


def class_rows(
    latents: np.ndarray, label_size: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Arranges a grid with one row per class and the same latents in each.

    Args:
        latents: [columns, latent_size].
        label_size: number of classes; the first 32 are shown.

    Returns:
        Latents and labels of all cells, and the grid size (columns, rows).
    """
    num_rows = min(label_size, MAX_CLASS_ROWS)
    labels = one_hot(np.arange(num_rows).repeat(len(latents)), label_size)
    return np.tile(latents, (num_rows, 1)), labels, (len(latents), num_rows)


def save_grid(
    fakes: np.ndarray, grid_size: tuple[int, int] | None, out: Path, overwrite: bool = False
) -> None:
    """Writes images as one PNG file; writing the same content again is no error.

    Raises:
        FileExistsError: if the file exists with another content.
    """
    content = images.png_bytes(images.image_grid(fakes, grid_size))
    if out.exists() and out.read_bytes() == content:
        return
    files.write_atomically(prepare_file(out, overwrite), content)


def prepare_file(path: Path, overwrite: bool = False) -> Path:
    """Makes the folder of a file to be written. Returns the path.

    Raises:
        FileExistsError: if the file exists and must not be replaced.
    """
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def refuse_existing(path: Path, overwrite: bool = False) -> None:
    """Raises FileExistsError if the file exists and must not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Choose another --out, or --overwrite.")
