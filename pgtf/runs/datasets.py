"""The dataset of a stored run, from any working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pgtf.dataset import Dataset, DatasetConfig, open_dataset
from pgtf.dataset.fingerprint import GROUPS, agree, difference, seen_by_networks
from pgtf.dataset.folder import Part
from pgtf.runs import identity


def open_dataset_of(
    folder: Path,
    options: DatasetConfig,
    max_label_size: int | Literal["full"] | None,
    split: Part = "train",
) -> Dataset:
    """Opens the images that a run was trained on.

    Looks at the path in its configuration, which may be relative to another working directory, then
    at the absolute one in its identity. Other images than the run's are not accepted.

    Args:
        folder: run folder.
        options: the part `dataset` of its configuration.
        max_label_size: as for `open_dataset`.
        split: as for `open_dataset`: other images of the same dataset.

    Raises:
        ValueError: if the images are in neither place; says what is there.
    """
    source = identity.load(folder).source
    paths = [options.path, *([] if source is None else [source.path])]
    places = {os.path.realpath(path): path for path in reversed(paths)}  # the first name of each
    found = []
    for path in reversed(places.values()):
        sizes: dict[str, Any] = {
            "resolution": options.resolution,
            "max_label_size": max_label_size,
        }
        try:
            dataset = open_dataset(path, **sizes)
            wanted = dataset if split == "train" else open_dataset(path, **sizes, split=split)
        except (OSError, ValueError) as error:
            found.append(str(error))
            continue
        if source is None or source.fingerprint is None:
            return wanted
        # A run may have been told to see one class, whatever dataset.json says.
        is_one_class = GROUPS not in source.fingerprint
        seen = seen_by_networks(dataset.as_one_class() if is_one_class else dataset)
        if agree(source.fingerprint, seen):
            return wanted
        reason = difference(source.fingerprint, seen)
        found.append(f"{path}: {reason} than when {folder} was trained.")
    raise ValueError(f"{' '.join(found)} Name the dataset with --dataset.")
