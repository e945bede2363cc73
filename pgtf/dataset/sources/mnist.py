"""MNIST, and the colored MNIST of the paper's mode-counting experiment."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
from collections.abc import Iterator
from typing import IO

import numpy as np

from pgtf.dataset.commands import Commands, positive
from pgtf.dataset.exporter import Options, Summary, export, load_arrays, random_state, shuffled
from pgtf.foreign.files import open_regular
from pgtf.foreign.packed import Damaged, Gzip, Unpacked

NUM_IMAGES = 60_000
PADDED = 32  # 28 pixels and a border of 2 black ones
NAMES = [str(digit) for digit in range(10)]
COLORED_IMAGES, COLORED_SEED = 1_000_000, 123  # Paper, Appendix D (App. E of the ICLR version)
SOURCE = ("mnist_dir", "folder with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz")


def create_mnist(
    tfrecord_dir: str,
    mnist_dir: str,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_images: int = NUM_IMAGES,
) -> Summary:
    """Creates gray 32x32 MNIST with one-hot labels from the files of its home page."""
    images = _read_images(mnist_dir, num_images)
    labels = _read_idx(mnist_dir, "train-labels-idx1-ubyte", (num_images,))
    order = shuffled(num_images)
    return export(
        tfrecord_dir,
        items=(images[i, np.newaxis] for i in order),
        num_items=num_images,
        load=load_arrays,
        shape=(1, PADDED, PADDED),
        job={"command": "create_mnist", "mnist_dir": os.path.abspath(mnist_dir)},
        meta={"mirror": False},
        labels=labels[order],
        label_names=NAMES,
        options=options,
    )


def create_mnistrgb(
    tfrecord_dir: str,
    mnist_dir: str,
    num_images: int = COLORED_IMAGES,
    random_seed: int = COLORED_SEED,
    options: Options = Options(),  # noqa: B008 (frozen)
    num_digits: int = NUM_IMAGES,
) -> Summary:
    """Creates images of three random MNIST digits, one per color channel."""
    random = random_state("random_seed", random_seed)
    digits = _read_images(mnist_dir, num_digits)

    def draw() -> Iterator[np.ndarray]:
        for _ in range(num_images):
            yield digits[random.randint(num_digits, size=3)]

    return export(
        tfrecord_dir,
        items=draw(),
        num_items=num_images,
        load=load_arrays,
        shape=(3, PADDED, PADDED),
        job={
            "command": "create_mnistrgb",
            "mnist_dir": os.path.abspath(mnist_dir),
            "random_seed": random_seed,
        },
        meta={"mirror": False},
        options=options,
    )


def _read_images(mnist_dir: str, num_images: int) -> np.ndarray:
    images = _read_idx(mnist_dir, "train-images-idx3-ubyte", (num_images, 28, 28))
    return np.pad(images, [(0, 0), (2, 2), (2, 2)])


def _read_idx(folder: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads an IDX file, compressed or not: big-endian magic and sizes, then bytes."""
    unpacked = [name, name.replace("-idx", ".idx")]  # some archives spell it with a dot
    candidates = [f"{name}.gz", *unpacked]
    path = next((p for n in candidates if os.path.exists(p := os.path.join(folder, n))), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: must contain {name}.gz, or {name}.")
    magic = 0x0800 + len(shape)  # unsigned bytes, number of dimensions
    start_bytes = 4 + 4 * len(shape)
    wanted = f"must hold {shape[0]} entries, {' x '.join(map(str, shape))} bytes"
    with _opened(path) as file:
        start = file.read(start_bytes)
        header = np.frombuffer(start, ">u4") if len(start) == start_bytes else [0]
        if header[0] != magic:
            raise ValueError(f"{path}: not an IDX file of {len(shape)}-dimensional bytes.")
        if tuple(header[1:]) != shape:
            found = " x ".join(map(str, header[1:]))
            raise ValueError(f"{path}: {wanted}. Received: {found} in the header.")
        # One byte more shows if there is more; the rest may be any number of gigabytes.
        content = file.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        found = "more" if len(content) > math.prod(shape) else f"{len(content)} bytes"
        raise ValueError(f"{path}: {wanted}. Received: {found}.")
    values = np.frombuffer(content, np.uint8)
    if len(shape) == 1 and values.max() > 9:
        raise ValueError(f"{path}: labels must be 0 to 9. Received: {values.max()}.")
    return values.reshape(shape)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Opens a file, which is unpacked as it is read if its name ends with .gz."""
    with open_regular(path) as file:
        try:
            yield io.BufferedReader(Unpacked(file, Gzip)) if path.endswith(".gz") else file
        except Damaged as error:
            raise ValueError(f"{path}: damaged or truncated gzip file ({error}).") from None


def add_commands(commands: Commands) -> None:
    """Adds create_mnist and create_mnistrgb to the sub-commands of dataset_tool.py."""
    example = "datasets/mnist ~/mnist"
    commands.add_create("create_mnist", "MNIST, gray 32x32.", example, _run_mnist, *SOURCE)
    help = "Random MNIST digits in the three color channels."
    example = "datasets/mnistrgb ~/mnist"
    p = commands.add_create("create_mnistrgb", help, example, _run_mnistrgb, *SOURCE)
    help = "(default: %(default)s)"
    p.add_argument("--num_images", type=positive, default=COLORED_IMAGES, help=help)
    p.add_argument("--random_seed", type=int, default=COLORED_SEED, help=help)


def _run_mnist(args: argparse.Namespace, options: Options) -> Summary:
    return create_mnist(args.tfrecord_dir, args.mnist_dir, options)


def _run_mnistrgb(args: argparse.Namespace, options: Options) -> Summary:
    return create_mnistrgb(
        args.tfrecord_dir, args.mnist_dir, args.num_images, args.random_seed, options
    )
