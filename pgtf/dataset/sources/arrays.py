"""Arrays, volumes and scans: NumPy, TIFF, NIfTI and DICOM files."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from pgtf.dataset.commands import Commands
from pgtf.dataset.description import DTYPE
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.sources.annotations import read_labels
from pgtf.dataset.sources.array_checks import find_masks, sorted_out
from pgtf.dataset.sources.array_options import ArrayOptions, add_flags, options_of
from pgtf.dataset.sources.array_survey import (
    CACHE,
    KINDS,
    Facts,
    find_files,
    look_at_all,
)
from pgtf.dataset.sources.array_target import Target, facts_of, target_of
from pgtf.dataset.sources.deep import fit_values, to_stored
from pgtf.dataset.sources.groups import group_column, groups_of, held_out_last
from pgtf.dataset.sources.patients import check_labels, without_patients
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.dataset.sources.stacks import FEW_CHANNELS, KEPT_BYTES, Reading, one_kind_of_error

SUBJECT = "subject"
FAINT = 64  # A uint8 set without values from here on is nearly black.
Item = tuple[str, str | None, int]  # file, its mask, number of the image in it


def create(
    tfrecord_dir: str,
    source: str,
    arrays: ArrayOptions = ArrayOptions(),  # noqa: B008 (frozen)
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset of the arrays in a file, or in the files of a folder.

    All values are read twice: first for the type and the range of the set.

    Raises:
        ValueError: a file cannot be used, or they do not fit together.
        OSError: a file cannot be read or written.
    """
    names, others = find_files(source)
    root = os.path.dirname(source) if os.path.isfile(source) else source
    masks = find_masks(arrays.with_masks, source, names)
    is_free = arrays.transform != "none"
    reading = Reading(arrays.layout, arrays.axis, options.grid, is_free)
    pairs = [(name, masks.get(name)) for name in names]
    looks = look_at_all(root, pairs, reading, options.num_workers)
    kept, rejected = sorted_out(root, names, looks, arrays)
    facts = [fact for _, fact in kept]
    names = [name for name, _ in kept]
    target = target_of(os.path.join(root, names[0]), facts, arrays, options)
    meta = facts_of(facts, target)
    _warn(facts, target)
    files = np.repeat(np.arange(len(names)), [fact.num for fact in facts])
    numbers = np.concatenate([np.arange(fact.num) for fact in facts])
    with without_patients(x.private for x in facts):
        labels = _labels(arrays, root, names, files, facts)
    order, split = _order(facts, files, arrays), None
    if arrays.held_out is not None:
        with without_patients(x.private for x in facts):
            groups, by = _groups(arrays, root, names, facts, files)
        chosen = dataclasses.replace(arrays, split_by=by)
        order, split = held_out_last(order, groups, chosen, len(rejected))
        meta |= {} if by is None else {"subjects": len(set(groups))}
    items = ((names[files[i]], masks.get(names[files[i]]), int(numbers[i])) for i in order)
    summary = export(
        tfrecord_dir,
        items=itertools.chain(rejected, items),
        num_items=len(rejected) + len(order),
        load=_Load(root, reading, target, arrays),
        shape=target.shape,
        job=_job(source, names, arrays, target),
        dtype=target.dtype,
        labels=None if labels is None else _rows(labels[0], order, len(rejected)),
        label_names=() if labels is None else labels[1],
        meta=meta,
        max_images=arrays.max_images,
        max_errors=arrays.max_errors,
        split=split,
        options=options,
    )
    return dataclasses.replace(summary, skipped=tuple(others))


def _warn(facts: Sequence[Facts], target: Target) -> None:
    if count := sum(x.is_burned_in for x in facts):
        logging.warning(
            "%d of %d files say that their pixels show patient data (BurnedInAnnotation=YES): "
            "networks may learn and show them. Remove these files, or blank the places.",
            count,
            len(facts),
        )
    highest = max(x.extent[1] for x in facts)
    if target.dtype == DTYPE and not target.stretched and highest < FAINT:
        logging.warning(
            "the highest value is %g of 255, so that all images are nearly black to the networks. "
            "--range=0,%g stretches them.",
            highest,
            highest,
        )
    height, _, channels = facts[0].shape
    if height <= FEW_CHANNELS < channels:
        logging.warning(
            "images have %d rows and %d channels. If the channels come first in the files, say "
            "--layout=NCHW.",
            height,
            channels,
        )


def _order(facts: Sequence[Facts], files: np.ndarray, arrays: ArrayOptions) -> np.ndarray:
    """Order of the records: shuffled, by whole volumes if not all of them fit in memory."""
    if not arrays.shuffle:
        return np.arange(len(files))
    if sum(x.num_bytes for x in facts) <= KEPT_BYTES:
        return shuffled(len(files))
    places = np.argsort(shuffled(len(facts)))
    return np.argsort(places[files], kind="stable")


def _labels(
    arrays: ArrayOptions,
    root: str,
    names: Sequence[str],
    files: np.ndarray,
    facts: Sequence[Facts],
) -> tuple[np.ndarray, Sequence[str]] | None:
    """Labels of all images, and the names of their columns; None if there are none.

    A .npy file has a row per image, or per file; any other source names files.
    """
    if arrays.labels is None:
        return None
    private = [x.private for x in facts]
    if arrays.labels.lower().endswith(".npy") and len(files) != len(names):
        numbers = [str(i) for i in range(len(files))]
        found, rows = read_labels(arrays.labels, root, numbers, arrays.table), np.arange(len(files))
        private = [private[file] for file in files]
    else:
        column = group_column(_column(arrays))
        table = dataclasses.replace(arrays.table, group_column=column)
        found, rows = read_labels(arrays.labels, root, names, table), files
    if found is None:
        return None
    check_labels(arrays.labels, found.values, found.names, private)
    return found.values[rows], found.names


def _column(arrays: ArrayOptions) -> str | None:
    """Meaning of the groups to `groups_of`: a column of the table, or folders."""
    return None if arrays.split_by in (None, SUBJECT) else arrays.split_by


def _groups(
    arrays: ArrayOptions,
    root: str,
    names: Sequence[str],
    facts: Sequence[Facts],
    files: np.ndarray,
) -> tuple[list[str], str | None]:
    """Group of each image, and by what: the patient of a scan, the file of a volume, or neither.

    Raises:
        ValueError: groups are asked for that there are not.
    """
    if column := _column(arrays):
        groups = groups_of(root, names, column, arrays.labels, arrays.table)
        return [groups[file] for file in files], column
    has_subjects = any(x.subject or x.is_volume for x in facts)
    if arrays.split_by == SUBJECT and not has_subjects:
        raise ValueError(
            f"`--split_by={SUBJECT}` needs volumes, or DICOM files that name patients. Received: "
            f"{root}. Give a column of --labels, or folder."
        )
    found = [
        facts[file].subject or (names[file] if facts[file].is_volume else f"{names[file]} {i}")
        for i, file in enumerate(files)
    ]
    return found, SUBJECT if has_subjects else None


def _rows(values: np.ndarray, order: np.ndarray, num_rejected: int) -> np.ndarray:
    before = np.zeros_like(values, shape=(num_rejected, *values.shape[1:]))
    return np.concatenate([before, values[order]])


def _job(
    source: str, names: Sequence[str], arrays: ArrayOptions, target: Target
) -> dict[str, object]:
    """Describes the job; one that resumes it must have the same description."""
    chosen = dataclasses.asdict(arrays)
    del chosen["max_errors"]
    files = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    place = {"command": "create_from_arrays", "source_dir": os.path.abspath(source)}
    return {**place, "files": files, **chosen, "range": target.value_range}


@dataclasses.dataclass(frozen=True)
class _Load:
    """The `load` of arrays; items are images of files, or rejected already."""

    root: str
    reading: Reading
    target: Target
    arrays: ArrayOptions

    def __call__(self, items: Sequence[Item | Rejected]) -> Iterator[np.ndarray | Rejected]:
        for item in items:
            yield item if isinstance(item, Rejected) else self._read(*item)

    def _read(self, name: str, mask: str | None, number: int) -> np.ndarray | Rejected:
        path = os.path.join(self.root, name)
        return read_or_reject(
            path, functools.partial(self._image, path, mask, number), f" (image {number})"
        )

    @one_kind_of_error()
    def _image(self, path: str, mask: str | None, number: int) -> np.ndarray:
        target, transform = self.target, self.arrays.transform
        values = CACHE.open(path, self.reading).read(number)
        bars = target.value_range[0]
        source_range = target.value_range if target.stretched else None
        image = to_stored(values, target.size, target.dtype, transform, source_range, bars)
        if mask is None:
            return image
        of_mask = dataclasses.replace(self.reading, is_mask=True)
        labels = CACHE.open(mask, of_mask).read(number)
        labels = fit_values(labels, target.size, transform, nearest=True)
        low, high = target.mask_range
        planes = [np.where(labels[..., 0] == value, high, low) for value in target.masks]
        return np.concatenate([image, np.stack(planes).astype(target.dtype)])


def add_command(commands: Commands) -> None:
    """Adds create_from_arrays to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_from_arrays",
        "Arrays, volumes and scans of any depth and number of channels: NumPy, TIFF, NIfTI, DICOM.",
        "datasets/brains ~/brains --grid=4x3 --axis=z",
        _run,
        "source",
        f"file, or folder of files: {KINDS}",
    )
    add_flags(p)


def _run(args: argparse.Namespace, options: Options) -> Summary:
    return create(args.tfrecord_dir, args.source, options_of(args), options)
