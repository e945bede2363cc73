"""HDF5 files of the 2017 (Theano) release: a `data...` array per resolution, labels beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled


def create(
    tfrecord_dir: str,
    hdf5_filename: str,
    shuffle: bool = True,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset from the largest image array of the file, and from NAME-labels.npy."""
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
        labels = _read_labels(os.path.splitext(hdf5_filename)[0] + "-labels.npy", num_images)
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
        if name.startswith("data") and isinstance(array, h5py.Dataset) and array.ndim == 4
    ]
    if not arrays:
        raise ValueError(f"{path}: must hold arrays data4x4, data8x8, ... Received: {list(file)}.")
    largest = max(arrays, key=lambda array: array.shape[3])
    if largest.dtype != np.uint8:
        raise ValueError(
            f"{path}: {largest.name[1:]} must be uint8 [n, C, H, W]. Received: {largest.dtype}."
        )
    return largest


def _read_images(path: str, data: Any, order: np.ndarray) -> Iterator[np.ndarray]:
    for index in order:
        try:
            yield data[int(index)]
        except OSError as error:
            raise ValueError(f"{path} image {index}: damaged ({error}).") from error


def _read_labels(path: str, num_images: int) -> np.ndarray | None:
    if not os.path.exists(path):
        return None
    labels: np.ndarray = np.load(path, allow_pickle=False)
    if labels.ndim != 2 or len(labels) != num_images:
        raise ValueError(
            f"{path}: must be a matrix with a row for each of {num_images} images. "
            f"Received: shape={labels.shape}."
        )
    return labels
