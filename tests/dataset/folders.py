"""Folders of images as tests need them, and what became of them."""

import numpy as np
import PIL.Image

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import images
from pgtf.dataset.sources.images import ImageOptions


def gradient(width=20, height=10):
    """RGB, different in every corner: red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 60)], axis=2).astype(np.uint8)


def save(path, shade, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, (shade, shade, shade)).save(path)


def shades(folder):
    dataset = open_dataset(folder, max_label_size="full")
    return dataset.read_images(range(dataset.num_images))[:, 0, 0, 0].tolist()


def create(tmp_path, folder="in", **options):
    return images.create(
        str(tmp_path / "out"), str(tmp_path / folder), ImageOptions(**options), Options(1)
    )
