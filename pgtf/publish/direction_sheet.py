"""Draws directions as a sheet: a row per direction, a column per angle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pgtf import images
from pgtf.export import film
from pgtf.export.directions import edit
from pgtf.export.source import Source
from pgtf.networks import latents_from_seeds

STEPS = 7
LABEL_WIDTH, HEAD_HEIGHT, CELL_SIDE = 120, 24, 96  # pixels
BACKGROUND, FOREGROUND = (255, 255, 255), (17, 17, 17)


def save_sheet(
    source: Source,
    vectors: Mapping[str, np.ndarray],
    path: Path,
    *,
    seed: int,
    largest: float,
    usual: Mapping[str, float] | None = None,
    class_id: int = 0,
) -> None:
    """Writes a PNG file with the image of one seed, turned along every direction.

    Angles are written above the columns, or, where directions differ in them, below the names.

    Args:
        source: the network.
        vectors: unit vectors by name, a row each.
        path: file.
        seed: seed of the image in the middle.
        largest: angle of the last column in radians; the first has its negative.
        usual: angles of the last column by name, for directions with one of their own.
        class_id: class of the image.
    """
    usual, steps = usual or {}, np.linspace(-1, 1, STEPS, dtype=np.float32)
    start = np.tile(latents_from_seeds([seed], source.Gs.latent_size).numpy(), (STEPS, 1))
    labels = source.labels(None, [class_id] * STEPS)
    rows = []
    for name, vector in vectors.items():
        angles = usual.get(name, largest) * steps
        latents = edit(start, vector[np.newaxis], angles[:, np.newaxis])
        fakes = source.depth.shown(source.Gs.run(latents, labels))
        rows.append(film.zoomed(fakes, max(CELL_SIDE // fakes.shape[1], 1)))
    cells = np.concatenate(rows)
    grid = film.to_rgb(images.image_grid(cells, (STEPS, len(rows))))
    height, width = cells.shape[1:3]
    sheet = PIL.Image.new(
        "RGB", (LABEL_WIDTH + grid.shape[1], HEAD_HEIGHT + grid.shape[0]), BACKGROUND
    )
    sheet.paste(PIL.Image.fromarray(grid), (LABEL_WIDTH, HEAD_HEIGHT))
    pen, font = PIL.ImageDraw.Draw(sheet), PIL.ImageFont.load_default(14)
    for i, name in enumerate(vectors):
        middle = HEAD_HEIGHT + (i + 0.5) * height
        shift = 8 if name in usual else 0
        pen.text((6, middle - shift), name[:16], FOREGROUND, font, anchor="lm")
        if shift:
            pen.text((6, middle + shift), f"\u00b1{usual[name]:g}", FOREGROUND, font, anchor="lm")
    for i, step in enumerate(steps):
        text = f"{step:+.2f}" if usual else f"{step * largest:+.2f}"
        pen.text(
            (LABEL_WIDTH + (i + 0.5) * width, HEAD_HEIGHT / 2), text, FOREGROUND, font, anchor="mm"
        )
    images.save_png(path, np.asarray(sheet))
