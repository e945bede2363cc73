"""Shows datasets: pages of images in a window or a file."""

from __future__ import annotations

import argparse
import os
import sys

import numpy as np

from pgtf import images as images_lib
from pgtf.dataset.commands import MAPPING, PREVIEW, Commands, mapping
from pgtf.dataset.folder import Dataset, open_dataset
from pgtf.dataset.sources.optional import import_optional
from pgtf.foreign.terminal import one_line

SHEET = (12, 8)  # columns and rows of a page
MAX_SHEET_LOG2 = 7  # Pages show at most 128x128.


def contact_sheet(dataset: Dataset, start: int = 0, preview: str | None = None) -> np.ndarray:
    """Makes a page of images from number `start` on: uint8 [H, W, C]."""
    columns, rows = SHEET
    indices = range(start, min(start + columns * rows, dataset.num_images))
    level = min(dataset.resolution_log2, MAX_SHEET_LOG2)
    images = dataset.preview_of(dataset.read_images(indices, level), preview)
    return images_lib.image_grid(images, SHEET)


def display(path: str, save: str | None, preview: str | None = None) -> str | None:
    """Shows a dataset in a window, or writes a page to the file `save`, or if no window opens.

    Args:
        path: dataset folder.
        save: file to write; None = open a window.
        preview: channels or color map; see `pgtf.previews`. None = that of dataset.json.

    Returns:
        Path of the page, or None if there was a window.
    """
    dataset = open_dataset(path, max_label_size=0, split="all")
    if save is None and has_screen() and show_pages(dataset, preview):
        return None
    save = save or f"{dataset.name}-contact-sheet.png"
    images_lib.save_picture(save, contact_sheet(dataset, preview=preview))
    return save


def has_screen() -> bool:
    """True if this machine has a screen for windows."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show_pages(dataset: Dataset, preview: str | None = None) -> bool:
    """Shows all pages until the window is closed: a key or click turns the page.

    Returns:
        True if there was a window: matplotlib needs a toolkit, such as Tk or Qt, to open one.
    """
    plt = import_optional("matplotlib.pyplot", "matplotlib")
    columns, rows = SHEET
    figure, axes = plt.subplots(figsize=(columns, rows))
    if figure.canvas.required_interactive_framework is None:
        plt.close(figure)
        return False
    figure.subplots_adjust(0, 0, 1, 1)
    axes.axis("off")
    for start in range(0, dataset.num_images, columns * rows):
        page = contact_sheet(dataset, start, preview)
        axes.imshow(page if page.shape[2] == 3 else page[:, :, 0], cmap="gray", vmin=0, vmax=255)
        last = min(start + columns * rows, dataset.num_images) - 1
        figure.canvas.manager.set_window_title(f"{dataset.path}: images {start} to {last}")
        figure.canvas.draw_idle()
        while plt.fignum_exists(figure.number) and figure.waitforbuttonpress() is None:
            pass
        if not plt.fignum_exists(figure.number):
            break
    plt.close(figure)
    return True


def add_command(commands: Commands) -> None:
    """Adds display to the sub-commands of dataset_tool.py."""
    p = commands.add("display", "Show the images of a dataset.", "datasets/cats", _run)
    p.add_argument("tfrecord_dir", help="dataset folder")
    help = "write a contact sheet as .png, .jpg or .webp, open no window"
    p.add_argument("--save", metavar="FILE", help=help)
    p.add_argument("--preview", type=mapping, metavar=MAPPING, help=PREVIEW)


def _run(args: argparse.Namespace) -> None:
    if path := display(args.tfrecord_dir, args.save, args.preview):
        print(f"Contact sheet  {one_line(path)}")
