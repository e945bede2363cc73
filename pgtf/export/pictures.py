"""Writes generated images as PNG files: one per image, or a grid."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pgtf import files, images
from pgtf.export import film, image_files, recipe
from pgtf.export.labels import choices, row_of
from pgtf.export.recipe import Facts
from pgtf.export.samples import Samples
from pgtf.installation import spelled
from pgtf.label_groups import LabelGroup
from pgtf.marks import Mark
from pgtf.networks import Generator
from pgtf.wording import counted

MINIBATCH = 16  # images generated at a time
MAX_GRID_PIXELS = 2**29  # 1.5 GiB in RGB, twice in memory
READABLE_SIDE = 640  # pixels; faces of a small network are recognized at arm's length
MAX_CLASS_ROWS = images.MAX_GRID_SIDE


# Generates images of one minibatch: latents [n, L], labels [n, label_size] or None -> NHWC.
Generate = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
# Makes the mark of one image: samples of one, its label [1, label_size] or None -> mark, or None.
MarkOf = Callable[[Samples, "np.ndarray | None"], "Mark | None"]


def save_images(
    generate: Generate,
    sampled: Samples,
    labels_of: Callable[[Samples], np.ndarray | None],
    out: Path,
    overwrite: bool = False,
    zoom: int = 1,
    file_format: str = "png",
    mark_of: MarkOf = lambda sampled, labels: None,
) -> None:
    """Writes OUT/<name>.png for every latent vector; one minibatch at a time is in memory.

    Args:
        generate: function that generates the images of a minibatch.
        sampled: latents and names.
        labels_of: function that makes the labels of a minibatch.
        out: folder.
        overwrite: if existing files are replaced.
        zoom: number of times that each pixel is repeated each way.
        file_format: one of `image_files.FORMATS`.
        mark_of: function that makes the mark of one image.

    Raises:
        FileExistsError: if one of the files exists, before any is written.
    """
    present = set(os.listdir(out)) if out.is_dir() and not overwrite else set()
    for name in sampled.names if present else ():
        if f"{name}.{file_format}" in present:
            refuse_existing(out / f"{name}.{file_format}")
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(sampled), unit="image", disable=None) as progress:
        for part in sampled.batches(MINIBATCH):
            labels = labels_of(part)
            fakes = generate(part.latents, labels)
            for i, (one, fake) in enumerate(zip(part.batches(1), fakes, strict=True)):
                mark = mark_of(one, None if labels is None else labels[i : i + 1])
                content = image_files.encode(film.zoomed(fake, zoom), file_format, mark)
                files.write_atomically(out / f"{next(one.names)}.{file_format}", content)
                progress.update()


def check_zoom(Gs: Generator, lod: float | None, zoom: int) -> None:
    """Raises ValueError if a single image would be too large."""
    height, width = size_of(Gs, lod)
    if height * width * zoom**2 > MAX_GRID_PIXELS:
        most = math.isqrt(MAX_GRID_PIXELS // (height * width))
        raise ValueError(
            f"`--zoom` must be at most {most} for images of {height}x{width} pixels. "
            f"Received: {zoom}."
        )


def check_grid(Gs: Generator, num: int, lod: float | None, zoom: int | None = None) -> None:
    """Raises ValueError if a grid of this many images would be too large."""
    (height, width), zoom = (
        size_of(Gs, lod),
        zoom or 1,
    )  # Without one, only small grids are enlarged.
    check_zoom(Gs, lod, zoom)
    num_pixels = height * width * zoom**2
    if num * num_pixels > MAX_GRID_PIXELS:
        most = counted(MAX_GRID_PIXELS // num_pixels, "image")
        enlarged = f" enlarged {zoom} times" if zoom > 1 else ""
        raise ValueError(
            f"a grid must have at most {most} of {height}x{width} pixels{enlarged}. "
            f"Received: {num}. "
            f"{spelled('Write single ones with generate.py images.')}"
        )


def size_of(Gs: Generator, lod: float | None = None) -> tuple[int, int]:
    """Height and width of a generator's images, by default at its own level of detail."""
    size: tuple[int, int] = Gs.config.base.size_at(Gs.stage(Gs.lod if lod is None else lod)[0])
    return size


def generate_in_batches(
    generate: Generate, latents: np.ndarray, labels: np.ndarray | None, progress: bool
) -> np.ndarray:
    """Generates many images in minibatches: -> [N, H, W, C].

    Args:
        generate: function that generates the images of a minibatch.
        latents: [N, L].
        labels: [N, label_size] or None.
        progress: show a progress bar on a terminal.
    """
    parts = [slice(i, i + MINIBATCH) for i in range(0, max(len(latents), 1), MINIBATCH)]
    fakes = [
        generate(latents[part], None if labels is None else labels[part])
        for part in tqdm(parts, unit="batch", disable=None if progress else True)
    ]
    return np.concatenate(fakes)


def class_rows(
    latents: np.ndarray, groups: Sequence[LabelGroup]
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Arranges a grid with one row per class, or other label, and the same latents in each.

    Args:
        latents: [columns, latent_size].
        groups: kinds of the label columns; the first 32 of their `choices` are shown.

    Returns:
        Latents and labels of all cells, and the grid size (columns, rows).
    """
    rows = [row_of(choice, groups) for choice in choices(groups)[:MAX_CLASS_ROWS]]
    num_rows, labels = len(rows), np.stack(rows).repeat(len(latents), axis=0)
    return np.tile(latents, (num_rows, 1)), labels, (len(latents), num_rows)


def save_grid(
    fakes: np.ndarray,
    grid_size: tuple[int, int] | None,
    out: Path,
    overwrite: bool = False,
    zoom: int | None = None,
    mark_of: Callable[[Facts], Mark | None] = lambda facts: None,
) -> None:
    """Writes images uint8 [N, H, W, C] as one PNG file; writing the same again is no error.

    Args:
        fakes: the images.
        grid_size: (columns, rows); None = nearly square.
        out: file.
        overwrite: if another file is replaced.
        zoom: number of times that each pixel is repeated each way; None = `readable_zoom`.
        mark_of: function that makes the mark from the facts of the grid.

    Raises:
        FileExistsError: if the file exists with another content.
    """
    grid = images.image_grid(fakes, grid_size, images.MID_GRAY)
    zoom = zoom or readable_zoom(*grid.shape[:2])
    cells = grid.shape[1] // fakes.shape[2], grid.shape[0] // fakes.shape[1]
    mark = mark_of(recipe.of_grid(cells) | {"Zoom": str(zoom)})
    content = recipe.png_bytes(film.zoomed(grid, zoom), mark)
    if out.is_file() and out.stat().st_size == len(content) and out.read_bytes() == content:
        return
    files.write_atomically(prepare_file(out, overwrite), content)


def readable_zoom(height: int, width: int) -> int:
    """Computes the smallest zoom that makes the longer side at least 640 pixels."""
    return -(-READABLE_SIDE // max(height, width))


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
