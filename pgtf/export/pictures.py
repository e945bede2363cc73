"""PNG files of what a generator draws: one an image, or a grid."""

import numpy as np
from tqdm import tqdm

from pgtf import images
from pgtf.export import draws

MINIBATCH = 16  # images at a time
MAX_CLASS_ROWS = images.MAX_GRID_SIDE


def save_images(Gs, names, latents, labels, lod, out, overwrite=False):
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


def class_rows(latents, label_size):
    """A grid with a row for every class, the same latents in each: -> latents, labels, grid size.

    Args:
        latents: [columns, latent_size].
        label_size: classes; the first 32 are shown.
    """
    num_rows = min(label_size, MAX_CLASS_ROWS)
    labels = draws.one_hot(np.arange(num_rows).repeat(len(latents)), label_size)
    return np.tile(latents, (num_rows, 1)), labels, (len(latents), num_rows)


def save_grid(fakes, grid_size, out, overwrite=False):
    """Writes images as one PNG file; the same content again is no error.

    Raises:
        FileExistsError: if the file exists and holds something else.
    """
    content = images.png_bytes(images.image_grid(fakes, grid_size))
    if out.exists() and out.read_bytes() == content:
        return
    refuse_existing(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    images.write_atomically(out, content)


def refuse_existing(path, overwrite=False):
    """Raises FileExistsError if there is such a file and it may not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Choose another --out, or --overwrite.")
