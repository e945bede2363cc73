"""CIFAR-10 and CIFAR-100, as folders or as the archives on their home page."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled
from pgtf.foreign.archives import read_member
from pgtf.foreign.files import read_bytes
from pgtf.foreign.pickles import parse_pickle

NUM_IMAGES = 50_000
SHAPE = (3, 32, 32)
NUM_CLASSES = {"labels": 10, "fine_labels": 100}
PIXELS = 3 * 32 * 32
# Python 2 wrote a byte as up to four characters in protocol 0; labels and names take the rest.
MAX_BYTES_PER_IMAGE, MAX_OTHER_BYTES = 5 * PIXELS, 64 << 20
CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def create_cifar10(
    tfrecord_dir: str,
    cifar10_dir: str,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_images: int = NUM_IMAGES,
) -> Summary:
    """Creates CIFAR-10's training set with one-hot labels.

    Args:
        tfrecord_dir: dataset folder to create.
        cifar10_dir: folder with data_batch_1 to 5, or cifar-10-python.tar.gz.
        options: see there.
        num_images: number that the five files must hold together.
    """
    files = [f"data_batch_{number}" for number in range(1, 6)]
    folder = "cifar-10-batches-py"
    batches = [_read(cifar10_dir, folder, name, num_images) for name in files]
    names = CIFAR10_NAMES
    return _create(tfrecord_dir, cifar10_dir, batches, "labels", names, num_images, options)


def create_cifar100(
    tfrecord_dir: str,
    cifar100_dir: str,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_images: int = NUM_IMAGES,
) -> Summary:
    """Creates CIFAR-100's training set with one-hot labels of its 100 fine classes.

    Args:
        tfrecord_dir: dataset folder to create.
        cifar100_dir: folder with train (and meta, for the names), or cifar-100-python.tar.gz.
        options: see there.
        num_images: number that the file must hold.
    """
    folder = "cifar-100-python"
    batches = [_read(cifar100_dir, folder, "train", num_images)]
    try:
        names = _names(*_read(cifar100_dir, folder, "meta", 0))
    except FileNotFoundError:  # Training does not need names.
        names = []
    return _create(tfrecord_dir, cifar100_dir, batches, "fine_labels", names, num_images, options)


def _create(
    tfrecord_dir: str,
    source_dir: str,
    batches: Sequence[tuple[str, Any]],
    label_key: str,
    names: Sequence[str],
    num_images: int,
    options: Options,
) -> Summary:
    parts = [_images(path, batch) for path, batch in batches]
    images = parts[0] if len(parts) == 1 else np.concatenate(parts)  # a copy of 150 MB
    labels = np.concatenate([_labels(path, batch, label_key) for path, batch in batches])
    if len(images) != num_images or len(labels) != num_images:
        raise ValueError(
            f"{source_dir}: must hold {num_images} images and labels. "
            f"Received: {len(images)} images, {len(labels)} labels."
        )
    order = shuffled(num_images)
    command = {"labels": "create_cifar10", "fine_labels": "create_cifar100"}[label_key]
    return export(
        tfrecord_dir,
        items=(images[i] for i in order),
        num_items=num_images,
        load=load_arrays,
        shape=SHAPE,
        job={"command": f"create_cifar, {label_key}", "source": os.path.abspath(source_dir)},
        meta={"source": command, "mirror": False},
        labels=labels[order],
        label_names=names[: int(labels.max()) + 1],
        options=options,
    )


def _read(source: str, inner: str, name: str, num_images: int) -> tuple[str, dict[Any, Any]]:
    """Unpickles a file from the archive, or from the folder of the unpacked archive.

    Returns:
        The name of the file for messages, and the dict in it, whose keys are text or bytes.
    """
    max_bytes = num_images * MAX_BYTES_PER_IMAGE + MAX_OTHER_BYTES
    path = f"{source}:{inner}/{name}"
    if os.path.isfile(source):
        data = read_member(source, f"{inner}/{name}", max_bytes)
    else:
        path, data = _read_file(source, inner, name, max_bytes)
    content = parse_pickle(data, path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold a dict. Received: {type(content).__name__}.")
    return path, content


def _read_file(source: str, inner: str, name: str, max_bytes: int) -> tuple[str, bytes]:
    for path in (os.path.join(source, name), os.path.join(source, inner, name)):
        if os.path.isfile(path):
            return path, read_bytes(path, max_bytes)
    raise FileNotFoundError(f"{source}: must contain {name}, or be the archive from its home page.")


def _field(batch: dict[Any, Any], name: str) -> Any:
    """Returns a value; whoever pickled the files again with Python 3 may have keys of bytes."""
    return batch.get(name, batch.get(name.encode()))


def _names(path: str, meta: dict[Any, Any]) -> list[str]:
    """Returns the names of the classes; [] if there are none."""
    names = _field(meta, "fine_label_names")
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        found = type(names).__name__
        raise ValueError(f"{path}: `fine_label_names` must be a list of texts. Received: {found}.")
    return [name.decode("latin1") if isinstance(name, bytes) else name for name in names]


def _images(path: str, batch: dict[Any, Any]) -> np.ndarray:
    data = _field(batch, "data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (PIXELS,):
        found = (
            f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        )
        raise ValueError(f"{path}: `data` must be uint8 [n, {PIXELS}]. Received: {found}.")
    return data.reshape(-1, *SHAPE)


def _labels(path: str, batch: dict[Any, Any], key: str) -> np.ndarray:
    # A list of int, which NumPy makes int64 on Linux: the original insisted on int32 and failed.
    found = _field(batch, key)
    labels = found.tolist() if isinstance(found, np.ndarray) and found.ndim == 1 else found
    if not isinstance(labels, list | tuple) or not all(map(_is_whole, labels)):
        kind = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else "other values"
        raise ValueError(f"{path}: `{key}` must be whole numbers. Received: {kind}.")
    low, high = min(labels, default=0), max(labels, default=0)
    if low < 0 or high >= NUM_CLASSES[key]:
        raise ValueError(
            f"{path}: `{key}` must be 0 to {NUM_CLASSES[key] - 1}. Received: {low} to {high}."
        )
    return np.array(labels, np.int64)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def add_commands(commands: Commands) -> None:
    """Adds create_cifar10 and create_cifar100 to the sub-commands of dataset_tool.py."""
    commands.add_create(
        "create_cifar10",
        "CIFAR-10.",
        "datasets/cifar10 ~/cifar10",
        _run_cifar10,
        "cifar10_dir",
        "folder with data_batch_1 to 5, or cifar-10-python.tar.gz",
    )
    commands.add_create(
        "create_cifar100",
        "CIFAR-100.",
        "datasets/cifar100 ~/cifar100",
        _run_cifar100,
        "cifar100_dir",
        "folder with train, or cifar-100-python.tar.gz",
    )


def _run_cifar10(args: argparse.Namespace, options: Options) -> Summary:
    return create_cifar10(args.tfrecord_dir, args.cifar10_dir, options)


def _run_cifar100(args: argparse.Namespace, options: Options) -> Summary:
    return create_cifar100(args.tfrecord_dir, args.cifar100_dir, options)
