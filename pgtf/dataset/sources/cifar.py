"""CIFAR-10 and CIFAR-100, as folders or as the archives on their home page."""

from __future__ import annotations

import argparse
import os
import tarfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled
from pgtf.dataset.sources import pickles

NUM_IMAGES = 50_000
SHAPE = (3, 32, 32)
NUM_CLASSES = {"labels": 10, "fine_labels": 100}
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
    batches = [_read(cifar10_dir, "cifar-10-batches-py", name) for name in files]
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
    batches = [_read(cifar100_dir, "cifar-100-python", "train")]
    try:
        _, meta = _read(cifar100_dir, "cifar-100-python", "meta")
        names = [str(name) for name in meta["fine_label_names"]]
    except (FileNotFoundError, KeyError, TypeError):  # Training does not need names.
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
    images = np.concatenate([_images(path, batch) for path, batch in batches])
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


def _read(source: str, inner: str, name: str) -> tuple[str, Any]:
    """Unpickles a file from the archive, or from the folder of the unpacked archive."""
    if os.path.isfile(source):
        path = f"{source}:{inner}/{name}"
        try:
            with tarfile.open(source) as archive:
                member = archive.extractfile(f"{inner}/{name}")
                if member is None:
                    raise KeyError(name)
                return path, pickles.load_arrays(member, path)
        except KeyError:
            raise FileNotFoundError(f"{path}: no such file in the archive.") from None
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"{source}: not a tar archive, or damaged ({error}).") from error
    for path in (os.path.join(source, name), os.path.join(source, inner, name)):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return path, pickles.load_arrays(file, path)
    raise FileNotFoundError(f"{source}: must contain {name}, or be the archive from its home page.")


def _images(path: str, batch: Any) -> np.ndarray:
    data = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        found = (
            f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        )
        raise ValueError(f"{path}: `data` must be uint8 [n, 3072]. Received: {found}.")
    return data.reshape(-1, *SHAPE)


def _labels(path: str, batch: Any, key: str) -> np.ndarray:
    # A list of int, which NumPy makes int64 on Linux: the original insisted on int32 and failed.
    try:
        labels = np.asarray(batch.get(key, ()))
    except ValueError as error:  # lists of lists
        raise ValueError(f"{path}: `{key}` must be whole numbers ({error}).") from error
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: `{key}` must be whole numbers. Received: {labels.dtype} {labels.shape}."
        )
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= NUM_CLASSES[key]:
        raise ValueError(
            f"{path}: `{key}` must be 0 to {NUM_CLASSES[key] - 1}. "
            f"Received: {labels.min()} to {labels.max()}."
        )
    return labels


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
