"""HDF5 files of the 2017 (Theano) release: a `data...` array per resolution, labels beside them."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled
from pgtf.dataset.isolated import isolated
from pgtf.dataset.pyramid import has_pyramid
from pgtf.dataset.sources.label_values import read_matrix
from pgtf.foreign.files import open_regular
from pgtf.grids import Grid

CHUNK_BYTES = 1 << 22  # images read at a time
MAX_CHUNK_BYTES = 1 << 28  # of a chunk of the file, which HDF5 unpacks as a whole
MAX_BYTES = 4 * MAX_CHUNK_BYTES  # memory for reading
MAX_DEFLATION = 1032  # no byte of a deflated stream stands for more


def create(
    tfrecord_dir: str,
    hdf5_filename: str,
    shuffle: bool = True,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset from the largest image array of the file, and from NAME-labels.npy."""
    if not os.path.exists(hdf5_filename):
        raise FileNotFoundError(f"{hdf5_filename}: no such file.")
    with contextlib.closing(  # type: ignore[type-var]
        isolated(hdf5_filename, _read, hdf5_filename, shuffle, options.grid, max_bytes=MAX_BYTES)
    ) as stream:
        num_images, *shape = next(stream)
        label_path = os.path.splitext(hdf5_filename)[0] + "-labels.npy"
        labels = read_matrix(label_path, num_images) if os.path.exists(label_path) else None
        return export(
            tfrecord_dir,
            items=(image for images in stream for image in images),
            num_items=num_images,
            load=load_arrays,
            shape=(shape[0], shape[1], shape[2]),
            job={
                "command": "create_from_hdf5",
                "hdf5_filename": os.path.abspath(hdf5_filename),
                "shuffle": shuffle,
            },
            labels=None if labels is None else labels[_order(num_images, shuffle)],
            options=options,
        )


def _order(num_images: int, shuffle: bool) -> np.ndarray:
    return shuffled(num_images) if shuffle else np.arange(num_images)


def _read(path: str, shuffle: bool, grid: Grid) -> Iterator[tuple[int, ...] | np.ndarray]:
    """Yields the shape of the largest array, then its images: uint8 [n, C, H, W] several times.

    Runs in a process of its own, which a damaged file may end.
    """
    import h5py  # here: other commands start faster without it

    try:
        with open_regular(path), h5py.File(path, "r", locking=False) as file:
            data = _largest_images(path, file, grid)
            yield data.shape
            order = _order(len(data), shuffle)
            step = max(CHUNK_BYTES // math.prod(data.shape[1:]), 1)
            for start in range(0, len(order), step):
                yield _read_images(path, data, order[start : start + step])
    except ValueError:
        raise
    except OSError as error:
        if error.errno is None:  # HDF5's own; the disk's have a number.
            raise ValueError(f"{path}: not an HDF5 file, or damaged ({error}).") from None
        raise OSError(error.errno, f"cannot read {path}: {os.strerror(error.errno)}") from None
    except Exception as error:  # A damaged file raises RuntimeError, KeyError and others.
        what = " ".join(str(error).split())
        raise ValueError(f"{path}: not an HDF5 file, or damaged ({what}).") from None


def _largest_images(path: str, file: Any, grid: Grid) -> Any:
    """Returns the array with the largest images; follows no link to another file."""
    import h5py

    names = [name for name in file if name.startswith("data")]
    links = {name: file.get(name, getlink=True) for name in names}
    for name, link in links.items():
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path}: {name} is a link. Only arrays in the file itself are read.")
    arrays = [array for name in names if getattr(array := file[name], "ndim", None) == 4]
    if not arrays:  # A group has no `ndim`.
        raise ValueError(
            f"{path}: must hold arrays data4x4, data8x8, ... Received: {list(file)[:8]}."
        )
    largest = max(arrays, key=lambda array: array.shape[3])
    name = largest.name[1:]
    if largest.dtype != np.uint8:
        raise ValueError(f"{path}: {name} must be uint8 [n, C, H, W]. Received: {largest.dtype}.")
    num_images, channels, height, width = largest.shape
    if not num_images or channels not in (1, 3) or not has_pyramid(width, height, grid):
        raise ValueError(
            f"{path}: {name} must hold images [n, C, H, W] with 1 or 3 channels, whose sides are "
            f"{grid} times a power of two. Received: {list(largest.shape)}."
        )
    if largest.is_virtual or largest.external:
        raise ValueError(f"{path}: {name} lies in other files. Only the file itself is read.")
    if math.prod(largest.chunks or ()) > MAX_CHUNK_BYTES:
        raise ValueError(
            f"{path}: {name} must have chunks of at most {MAX_CHUNK_BYTES >> 20} MiB, which are "
            f"unpacked as a whole. Received: chunks={list(largest.chunks)}."
        )
    is_packed = largest.id.get_create_plist().get_nfilters() > 0
    stored = largest.id.get_storage_size() * (MAX_DEFLATION if is_packed else 1)
    if math.prod(largest.shape) > stored:
        raise ValueError(
            f"{path}: {name} must be whole. Received: shape={list(largest.shape)}, of which "
            f"{largest.id.get_storage_size()} bytes are stored."
        )
    return largest


def _read_images(path: str, data: Any, order: np.ndarray) -> np.ndarray:
    """Reads images by number: uint8 [n, C, H, W]."""
    images = np.empty((len(order), *data.shape[1:]), np.uint8)
    for image, index in zip(images, order.tolist(), strict=True):
        try:
            data.read_direct(image, np.s_[index])
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{path} image {index}: damaged ({error}).") from None
    return images


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
