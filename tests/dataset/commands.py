"""Commands as typed, and pictures for them."""

import pathlib

import PIL.Image

from pgtf.commands import dataset as dataset_tool
from tests.dataset import recipes

ROOT = pathlib.Path(__file__).parents[2]


def run(*args):
    """Runs a command and returns its exit status."""
    try:
        dataset_tool.main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code
    return 0


def save_pictures(folder, count, kind, size=8):
    folder.mkdir()
    for i in range(count):
        pixels = recipes.noise(i, (1, 3, size, size))[0].transpose(1, 2, 0)
        PIL.Image.fromarray(pixels).save(folder / f"{i:04d}.{kind}")
    return folder
