"""Identity of a dataset by its content, so that its folder may be moved or renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pgtf.dataset.folder import Dataset
from pgtf.dataset.label_groups import groups_of_columns
from pgtf.dataset.tfrecords import FOOTER, UINT8
from pgtf.files import retried
from pgtf.label_groups import CONTINUOUS, LabelGroup, are_classes

WHOLE_BYTES = 1 << 24  # a file of at most 16 MiB is hashed whole
NUM_SAMPLES = 64  # samples of a larger file
LABEL_BYTES = 4096  # bytes per sample of a label file
LABELS = "labels"  # name of the part; those of levels are their sizes
RANGE, GROUPS = FACTS = "range", "label_groups"  # fields of dataset.json that networks see


def fingerprint(dataset: Dataset) -> dict[str, str]:
    """Hashes the data that a run uses: {"4x4": "<hex>", ..., "labels": "<hex>"}.

    The result has a part per level in use, and one for labels if they are used. A file of at most
    16 MiB is hashed whole. The 4x4 level of 100,000 RGB images is such a file, so the fingerprint
    detects an image that was replaced, added, removed or reordered if its 4x4 average differs. For
    a larger file, the size and the CRC-32C of the first, the last and 62 evenly spaced records are
    hashed (each CRC covers all pixels of its image); for a larger label file, the size and as many
    blocks of 4 KiB.

    Names and times of files do not matter, so copies and moved folders are equal. Of dataset.json
    only the split does; `seen_by_networks` adds the rest.
    A change of a few records of the large files that keeps their size and the smaller levels is not
    detected, nor are damaged pixels under an unchanged CRC, which reading detects.
    """
    parts = {}
    for log2, file in dataset.files.items():
        crcs = [(i + 1) * file.record_size - FOOTER for i in _spread(file.num_records)]
        kind = "" if file.dtype == UINT8 else f" {file.dtype.name}"
        title = f"{file.shape}{kind}{_part_of(dataset, file.num_records)}"
        height, width = dataset.size_at(log2)
        parts[f"{height}x{width}"] = _hash(title, file.path, crcs, FOOTER)
    if dataset.label_file is not None and dataset.label_size:
        labels = dataset.label_file
        blocks = _spread(os.path.getsize(labels.path) // LABEL_BYTES)
        offsets = [i * LABEL_BYTES for i in blocks]
        parts[LABELS] = _hash(f"{labels.dtype.str} {labels.shape}", labels.path, offsets)
    return parts


def seen_by_networks(dataset: Dataset) -> dict[str, str]:
    """Returns the fingerprint, and the facts of dataset.json that change what networks see.

    The facts are parts of their own: the range, unless the values are of 8 bits, and a hash of the
    kinds of labels and of the moments by which numbers are standardised, unless all labels are one
    class. So sets as the original's have no other parts than their fingerprint.
    """
    parts = fingerprint(dataset)
    if dataset.dtype != UINT8:
        parts[RANGE] = json.dumps([*map(float, dataset.value_range)])
    if LABELS in parts and dataset.label_file is not None:
        groups = groups_of_columns(dataset.meta, dataset.label_file.shape[1])
        if not are_classes(groups):
            parts[GROUPS] = hashlib.sha256(
                json.dumps([*map(_meaning, groups)]).encode()
            ).hexdigest()
    return parts


def agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """True if two fingerprints share a level and all shared parts are equal.

    A run at a lower resolution, or without labels, uses fewer parts of the same dataset.
    """
    common = one.keys() & other.keys()
    is_known = bool(common - {LABELS, *FACTS})
    return is_known and not _other_facts(one, other) and all(one[x] == other[x] for x in common)


def difference(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Describes how the second of two fingerprints that do not agree differs from the first."""
    before, after = ({x: parts[x] for x in parts.keys() - {*FACTS}} for parts in (one, other))
    if not agree(before, after):
        return "other images"
    values = {RANGE: f" (now {other.get(RANGE)}, then {one.get(RANGE)})"}
    changed = _other_facts(one, other)
    return " and ".join(f"another `{x}` in dataset.json{values.get(x, '')}" for x in changed)


def _other_facts(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Lists the facts that differ. Labels without a part are one class."""
    labelled = LABELS in one and LABELS in other
    return [
        fact
        for fact, is_common in ((RANGE, RANGE in one and RANGE in other), (GROUPS, labelled))
        if is_common and one.get(fact) != other.get(fact)
    ]


def _meaning(group: LabelGroup) -> list[Any]:
    """Everything of a group of columns that changes losses, or the numbers of a network."""
    moments = group.moments() if group.kind == CONTINUOUS else ()
    return [group.kind, *group.columns, *(x.tolist() for x in moments)]


def _part_of(dataset: Dataset, num_records: int) -> str:
    """Names the records in use, "" = all: the same files with another split are other data."""
    if dataset.num_images == num_records:
        return ""
    return f" {dataset.first_image} + {dataset.num_images}"


def _spread(number: int) -> list[int]:
    """Returns at most NUM_SAMPLES evenly spaced indices below `number`, with the first and last."""
    samples = min(NUM_SAMPLES, number)
    return sorted({i * (number - 1) // max(samples - 1, 1) for i in range(samples)})


def _hash(title: str, path: str, offsets: Sequence[int], num_bytes: int = LABEL_BYTES) -> str:
    """SHA-256 of a title and a file: all bytes, or `num_bytes` at each offset if it is large."""

    def hash_parts() -> str:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(f"{title} {size}\n".encode())
            parts = [(0, size)] if size <= WHOLE_BYTES else [(at, num_bytes) for at in offsets]
            for at, length in parts:
                digest.update(os.pread(file.fileno(), length, at))
        return digest.hexdigest()

    return retried(hash_parts, path)
