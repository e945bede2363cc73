"""HDF5 files of the 2017 (Theano) release: a `data...` array per resolution, labels beside them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled
from pgtf.dataset.pyramid import has_pyramid
from pgtf.dataset.sources.annotations import read_matrix


def create(
    tfrecord_dir: str,
    hdf5_filename: str,
    shuffle: bool = True,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset from the largest image array of the file, and from NAME-labels.npy."""
    import h5py  # here: other commands start faster without it

    try:
        file = h5py.File(hdf5_filename, "r")
    except FileNotFoundError:
        raise FileNotFoundError(f"{hdf5_filename}: no such file.") from None
    except OSError as error:
        raise ValueError(f"{hdf5_filename}: not an HDF5 file, or damaged ({error}).") from error
    with file:
        data = _largest_images(hdf5_filename, file)
        num_images, *shape = data.shape
        order = shuffled(num_images) if shuffle else np.arange(num_images)
        label_path = os.path.splitext(hdf5_filename)[0] + "-labels.npy"
        labels = read_matrix(label_path, num_images) if os.path.exists(label_path) else None
        return export(
            tfrecord_dir,
            items=_read_images(hdf5_filename, data, order),
            num_items=num_images,
            load=load_arrays,
            shape=(shape[0], shape[1], shape[2]),
            job={
                "command": "create_from_hdf5",
                "hdf5_filename": os.path.abspath(hdf5_filename),
                "shuffle": shuffle,
            },
            labels=None if labels is None else labels[order],
            options=options,
        )


def _largest_images(path: str, file: Any) -> Any:
    arrays = [
        array
        for name, array in file.items()
        if name.startswith("data") and getattr(array, "ndim", None) == 4  # A group has no `ndim`.
    ]
    if not arrays:
        raise ValueError(f"{path}: must hold arrays data4x4, data8x8, ... Received: {list(file)}.")
    largest = max(arrays, key=lambda array: array.shape[3])
    if largest.dtype != np.uint8:
        raise ValueError(
            f"{path}: {largest.name[1:]} must be uint8 [n, C, H, W]. Received: {largest.dtype}."
        )
    num_images, channels, height, width = largest.shape
    if not num_images or channels not in (1, 3) or not has_pyramid(width, height):
        raise ValueError(
            f"{path}: {largest.name[1:]} must hold square images [n, C, H, W] with 1 or 3 channels "
            f"and a power of two of at least 4 pixels a side. Received: {list(largest.shape)}."
        )
    return largest


def _read_images(path: str, data: Any, order: np.ndarray) -> Iterator[np.ndarray]:
    for index in order:
        try:
            yield data[int(index)]
        except OSError as error:
            raise ValueError(f"{path} image {index}: damaged ({error}).") from error


def add_command(commands: Commands) -> None:
    """Adds create_from_hdf5 to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_from_hdf5",
        "An HDF5 file of the 2017 release.",
        "datasets/cats ~/cats.h5",
        _run,
        "hdf5_filename",
        "HDF5 file; labels are taken from NAME-labels.npy beside it",
    )
    p.add_argument("--shuffle", type=int, choices=(0, 1), default=1, help="(default: %(default)s)")


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.hdf5_filename, bool(args.shuffle), options)
