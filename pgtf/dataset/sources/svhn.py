"""Street View House Numbers, cropped: the official MATLAB file, or the original's pickles."""

from __future__ import annotations

import argparse
import os

import numpy as np

from pgtf.dataset.commands import Commands
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, shuffled
from pgtf.foreign.matlab import read_mat
from pgtf.foreign.pickles import read_pickle

NUM_IMAGES = 73_257
SHAPE = (3, 32, 32)
MAT_FILE = "train_32x32.mat"
PICKLES = [f"train_{number}.pkl" for number in (1, 2, 3)]
NAMES = [str(digit) for digit in range(10)]


def create_svhn(
    tfrecord_dir: str,
    svhn_dir: str,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_images: int = NUM_IMAGES,
) -> Summary:
    """Creates SVHN's training set with one-hot labels.

    Args:
        tfrecord_dir: dataset folder to create.
        svhn_dir: folder with train_32x32.mat, or with train_1.pkl to train_3.pkl, each a pickled
            pair (uint8 images [n, 3, 32, 32], uint8 labels [n]).
        options: see there.
        num_images: number that the files must hold.
    """
    if os.path.exists(os.path.join(svhn_dir, PICKLES[0])):
        images, labels = _read_pickles(svhn_dir)
    else:
        images, labels = _read_mat(svhn_dir, num_images)
    if images.shape != (num_images, *SHAPE) or images.dtype != np.uint8:
        raise ValueError(
            f"{svhn_dir}: images must be uint8 {(num_images, *SHAPE)}. "
            f"Received: {images.dtype} {images.shape}."
        )
    is_digit = labels.dtype.kind in "iu" and ((labels >= 0) & (labels <= 9)).all()
    if labels.shape != (num_images,) or not is_digit:
        raise ValueError(
            f"{svhn_dir}: labels must be {num_images} digits. "
            f"Received: {labels.dtype} {labels.shape}."
        )
    order = shuffled(num_images)
    return export(
        tfrecord_dir,
        items=(images[i] for i in order),
        num_items=num_images,
        load=load_arrays,
        shape=SHAPE,
        job={"command": "create_svhn", "svhn_dir": os.path.abspath(svhn_dir)},
        meta={"mirror": False},
        labels=labels[order],
        label_names=NAMES,
        options=options,
    )


def _read_pickles(folder: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for name in PICKLES:
        path = os.path.join(folder, name)
        content = read_pickle(path)
        if (
            not isinstance(content, (tuple, list))
            or len(content) != 2
            or not all(isinstance(part, np.ndarray) for part in content)
            or (content[0].dtype, content[0].shape[1:]) != (np.uint8, SHAPE)
            or content[1].ndim != 1
        ):
            raise ValueError(
                f"{path}: must hold a pair of uint8 images [n, 3, 32, 32] and labels [n]."
            )
        images.append(content[0])
        labels.append(content[1])
    return np.concatenate(images), np.concatenate(labels)


def _read_mat(folder: str, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    path = os.path.join(folder, MAT_FILE)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{folder}: must contain {MAT_FILE}, or {', '.join(PICKLES)}.")
    shapes: dict[str, list[tuple[int, ...]]]
    shapes = {"X": [(*SHAPE[1:], SHAPE[0], num_images)], "y": [(num_images, 1), (1, num_images)]}
    found = read_mat(path, shapes, "the MATLAB file of SVHN")
    images, labels = found["X"].transpose(3, 2, 0, 1), found["y"].ravel()
    return images, np.where(labels == 10, 0, labels)  # MATLAB counts from 1: 10 is the digit 0


def add_command(commands: Commands) -> None:
    """Adds create_svhn to the sub-commands of dataset_tool.py."""
    commands.add_create(
        "create_svhn",
        "Street View House Numbers, cropped digits.",
        "datasets/svhn ~/svhn",
        _run,
        "svhn_dir",
        "folder with train_32x32.mat, or with train_1.pkl to train_3.pkl",
    )


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create_svhn(args.tfrecord_dir, args.svhn_dir, options)
