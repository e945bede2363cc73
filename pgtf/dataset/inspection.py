"""Checks, compares and extracts datasets."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from pgtf import stored
from pgtf.dataset.commands import Commands
from pgtf.dataset.description import META_FILE, PAPER_GRID
from pgtf.dataset.fingerprint import fingerprint
from pgtf.dataset.folder import Dataset, open_dataset
from pgtf.dataset.pyramid import pyramid
from pgtf.dataset.workers import default_num_workers, ordered_map
from pgtf.files import errors_that_name
from pgtf.foreign.terminal import one_line

CHUNK_BYTES = 1 << 22  # full-resolution pixels per task


def verify(path: str, num_workers: int | None = None) -> Dataset:
    """Checks all of a dataset: CRC, keys and shape of each record, pyramid, counts, labels, meta.

    Raises:
        ValueError: the first fault, with file, record and offset.
        OSError: a file cannot be read.
    """
    dataset = open_dataset(path, max_label_size="full", split="all")
    _check_meta(dataset)
    check = _CheckRecords(dataset)
    tasks = _ranges(dataset)
    workers = min(num_workers or default_num_workers(), 1 + dataset.num_images // 1000)
    with (
        contextlib.closing(ordered_map(check, tasks, workers)) as faults,  # type: ignore[type-var]
        tqdm(total=dataset.num_images, unit="img", desc="Checking", disable=None) as bar,
    ):
        for indices, fault in zip(_ranges(dataset), faults, strict=True):
            if fault is not None:
                raise ValueError(fault)
            bar.update(len(indices))
    if dataset.label_file is not None:
        for indices in _ranges(dataset):
            finite = np.isfinite(dataset.read_labels(indices)).all(axis=1)
            if not finite.all():
                row = indices[int(finite.argmin())]
                raise ValueError(
                    f"{dataset.label_file.path} row {row} (offset {dataset.label_file.at(row)}): "
                    "must be finite numbers."
                )
    _check_fingerprint(dataset)
    return dataset


def _check_fingerprint(dataset: Dataset) -> None:
    """Compares the content with that which the create command wrote, where that is known."""
    written, found = dataset.meta.get("fingerprint", {}), fingerprint(dataset)
    for part in found:
        if written.get(part, found[part]) != found[part]:
            raise ValueError(
                f"{dataset.path}: the {part} part is whole, but not what {META_FILE} says that "
                "was written (`fingerprint`). Restore the files, or remove that field."
            )


def _check_meta(dataset: Dataset) -> None:
    """Compares the description, if there is one, with the files."""
    found = {
        "resolution": dataset.resolution,
        "channels": dataset.num_channels,
        "num_channels": dataset.num_channels,
        "num_images": dataset.num_images,
    }
    if dataset.meta.get("label_names"):
        found["label_names"] = dataset.label_size
    for key, value in found.items():
        named = dataset.meta.get(key, value)
        named = len(named) if isinstance(named, list) else named
        if named != value:
            raise ValueError(
                f"{dataset.path}/{META_FILE}: `{key}` says {named}, but the files hold {value}. "
                "Restore what is missing or create the dataset anew."
            )


@dataclasses.dataclass(frozen=True)
class _CheckRecords:
    """Checks records in a worker."""

    dataset: Dataset

    def __call__(self, indices: range) -> str | None:
        """Describes the first fault of these records; None if there is none."""
        files = self.dataset.files
        levels = {}
        for log2 in sorted(files, reverse=True):
            try:
                levels[log2] = files[log2].read(indices)
            except ValueError as error:
                return str(error)
        expected = pyramid(levels[max(levels)], self.dataset.grid)
        for log2, means in zip(levels, expected, strict=True):
            different = (levels[log2] != means).any(axis=(1, 2, 3))
            if different.any():
                index = indices[int(different.argmax())]
                offset = index * files[log2].record_size
                height, width = self.dataset.size_at(log2)
                return (
                    f"{files[log2].path} record {index} (offset {offset}): the image is not the "
                    f"{height}x{width} mean of the same record of "
                    f"{os.path.basename(files[max(levels)].path)}."
                )
        return None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Agreement of two datasets."""

    num_compared: int
    num_images: tuple[int, int]
    identical_images: int
    identical_labels: int | None  # None if labels were not compared


def compare(path_a: str, path_b: str, ignore_labels: bool = False) -> Comparison:
    """Compares two datasets image by image; prints the numbers of those that differ."""
    datasets = [open_dataset(path, max_label_size="full", split="all") for path in (path_a, path_b)]
    num = min(dataset.num_images for dataset in datasets)
    identical = {"Image": 0, "Label": 0}
    with tqdm(total=num, unit="img", desc="Comparing", disable=None) as bar:
        for indices in _ranges(datasets[0], num):
            same = {"Image": _same([dataset.read_images(indices) for dataset in datasets])}
            if not ignore_labels:
                same["Label"] = _same([dataset.read_labels(indices) for dataset in datasets])
            for place, index in enumerate(indices):
                for kind, flags in same.items():
                    identical[kind] += int(flags[place])
                    if not flags[place]:
                        bar.write(f"{kind} {index} is different", file=sys.stdout)
            bar.update(len(indices))
    return Comparison(
        num,
        (datasets[0].num_images, datasets[1].num_images),
        identical["Image"],
        None if ignore_labels else identical["Label"],
    )


def _same(arrays: list[np.ndarray]) -> np.ndarray:
    """True for rows that two arrays share: bool [n]; all False if their shapes differ."""
    a, b = arrays
    if a.shape != b.shape:
        return np.zeros(len(a), bool)
    agree: np.ndarray = (a == b).all(axis=tuple(range(1, a.ndim)))
    return agree


def extract(path: str, output_dir: str, num_workers: int | None = None) -> int:
    """Writes all images of a dataset as img00000000.png, ...; returns their number.

    Images of other types than uint8 and uint16, or of other numbers of channels, are .npy files.
    """
    dataset = open_dataset(path, max_label_size=0, split="all")
    output_dir = output_dir.rstrip("/")
    if os.path.isdir(output_dir) and os.listdir(output_dir):
        raise FileExistsError(f"{output_dir}: is not empty. Empty it or choose another name.")
    if os.path.lexists(output_dir) and not os.path.isdir(output_dir):
        raise FileExistsError(f"{output_dir}: is a file. Choose another name.")
    partial = f"{output_dir}.{os.getpid()}.partial"
    os.makedirs(partial)
    workers = min(num_workers or default_num_workers(), 1 + dataset.num_images // 1000)
    results = ordered_map(_WriteFiles(dataset, partial), _ranges(dataset), workers)
    try:
        with (
            errors_that_name(output_dir),
            contextlib.closing(results),  # type: ignore[type-var]
            tqdm(total=dataset.num_images, unit="img", desc="Extracting", disable=None) as bar,
        ):
            for count in results:
                bar.update(count)
        if os.path.isdir(output_dir):
            os.rmdir(output_dir)
        os.rename(partial, output_dir)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return dataset.num_images


@dataclasses.dataclass(frozen=True)
class _WriteFiles:
    """Writes images in a worker; returns their number."""

    dataset: Dataset
    folder: str

    def __call__(self, indices: range) -> int:
        extension = stored.extension(self.dataset.dtype, self.dataset.num_channels)
        for index, image in zip(indices, self.dataset.read_images(indices), strict=True):
            path = os.path.join(self.folder, f"img{index:08d}{extension}")
            with open(path, "wb") as file:
                file.write(stored.encoded(image))
        return len(indices)


def _ranges(dataset: Dataset, num_images: int | None = None) -> Iterator[range]:
    """Yields ranges of record numbers, up to `num_images`, whose images fit in memory."""
    num = dataset.num_images if num_images is None else num_images
    step = max(CHUNK_BYTES // dataset.files[dataset.resolution_log2].record_size, 1)
    for start in range(0, num, step):
        yield range(start, min(start + step, num))


def add_commands(commands: Commands) -> None:
    """Adds extract, compare and verify to the sub-commands of dataset_tool.py."""
    help = "Write the images as PNG files, or .npy files where PNG cannot hold them."
    p = commands.add("extract", help, "datasets/cats cats", _run_extract)
    p.add_argument("tfrecord_dir", help="dataset folder")
    p.add_argument("output_dir", help="folder to create")
    help = "Compare two datasets."
    p = commands.add("compare", help, "datasets/cats datasets/more", _run_compare)
    p.add_argument("tfrecord_dir_a", help="dataset folder")
    p.add_argument("tfrecord_dir_b", help="dataset folder to compare it with")
    p.add_argument("--ignore_labels", type=int, choices=(0, 1), default=0, help="(default: 0)")
    p = commands.add("verify", "Check every record of a dataset.", "datasets/cats", _run_verify)
    p.add_argument("tfrecord_dir", help="dataset folder")


def _run_extract(args: argparse.Namespace) -> None:
    num = extract(args.tfrecord_dir, args.output_dir)
    print(f"Extracted {num} images to {one_line(args.output_dir)}.")


def _run_compare(args: argparse.Namespace) -> None:
    result = compare(args.tfrecord_dir_a, args.tfrecord_dir_b, args.ignore_labels)
    if result.num_images[0] != result.num_images[1]:
        print("Numbers of images differ: {} and {}".format(*result.num_images))
    print(f"Identical images: {result.identical_images} / {result.num_compared}")
    if result.identical_labels is not None:
        print(f"Identical labels: {result.identical_labels} / {result.num_compared}")


def _levels(dataset: Dataset) -> str:
    height, width = dataset.size
    if dataset.grid == PAPER_GRID:
        return f"resolutions 4 to {dataset.resolution}"
    return f"{dataset.grid} to {height}x{width}"


def _run_verify(args: argparse.Namespace) -> None:
    dataset = verify(args.tfrecord_dir)
    print(
        f"{one_line(dataset.path)} is whole: {dataset.num_images} images, {_levels(dataset)}, "
        f"{dataset.label_size or 'no'} label columns."
    )
