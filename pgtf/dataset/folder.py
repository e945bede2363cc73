"""A dataset folder: `NAME-rLL.tfrecords` per resolution 2^LL, and `NAME-rxx.labels`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from absl import logging

from pgtf.dataset.absence import RECORDS_NAME, is_hidden
from pgtf.dataset.description import (
    META_FILE,
    PAPER_GRID,
    default_mirror,
    grid_of,
    label_names,
    mirror_source,
    num_held_out,
    read_description,
    value_range_of,
)
from pgtf.dataset.label_file import Labels, open_labels
from pgtf.dataset.label_groups import groups_of_columns
from pgtf.dataset.levels import level_of, open_levels
from pgtf.dataset.tfrecords import UINT8, RecordFile
from pgtf.files import retried
from pgtf.grids import Grid
from pgtf.images import UINT8_DRANGE
from pgtf.installation import spelled
from pgtf.label_groups import LabelGroup
from pgtf.previews import to_rgb
from pgtf.wording import meant

CONTACT_SHEET = "contact-sheet.png"
Part = Literal["train", "held_out", "all"]


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """Selects the training images and sets how they are fed."""

    path: Annotated[str, "folder made by dataset_tool.py or by the original release"] = (
        "datasets/demo"
    )
    resolution: Annotated[
        int | None, "full resolution in pixels, finer levels are ignored; None = all levels"
    ] = None
    max_label_size: Annotated[
        int | Literal["full"] | None, "label columns used; None = 0, with a warning"
    ] = None
    mirror_augment: Annotated[
        bool | None, "flip each real with probability 0.5; None = the dataset's default"
    ] = None
    prefetch: Annotated[int, "minibatches read ahead"] = 4
    strict_uint8_fade: Annotated[
        bool, "truncate fading reals to whole gray levels, as the original Theano release"
    ] = False


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An open dataset folder; `open_dataset` fills it without reading all images."""

    path: str
    name: str  # name of the folder
    resolution_log2: int
    num_channels: int
    num_images: int
    label_size: int  # columns in use
    label_names: tuple[str, ...]  # names of the columns in use, if known
    files: Mapping[int, RecordFile]  # by resolution_log2, from 2 upwards
    label_file: Labels | None  # None = unlabelled
    meta: Mapping[str, Any]  # content of dataset.json, {} when absent
    first_image: int = 0  # record of image 0: held-out images are the last records
    grid: Grid = PAPER_GRID  # size of the coarsest level
    dtype: np.dtype[Any] = UINT8  # of the stored values
    value_range: tuple[float, float] = UINT8_DRANGE  # stored values that are -1 and 1 to networks
    # Records of the images where they are neither all nor a range of them: int64 [num_images].
    chosen: np.ndarray | None = dataclasses.field(default=None, compare=False)

    @property
    def resolution(self) -> int:
        """Name of the finest level in use in schedules: pixels per side if the grid is 4x4."""
        return 1 << self.resolution_log2

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the finest level in use."""
        return self.size_at(self.resolution_log2)

    def size_at(self, resolution_log2: int) -> tuple[int, int]:
        """Height and width of a level."""
        return self.grid.size_at(resolution_log2)

    @property
    def label_groups(self) -> tuple[LabelGroup, ...]:
        """Kinds of the label columns in use, in order."""
        return groups_of_columns(self.meta, self.label_size)

    def as_one_class(self) -> Dataset:
        """Returns the dataset with label columns that are one class, as in the original release."""
        meta = {name: value for name, value in self.meta.items() if name != "label_groups"}
        if self.label_names:
            meta["label_names"] = list(self.label_names)
        return dataclasses.replace(self, meta=meta)

    @property
    def mirror(self) -> bool:
        """Default of `mirror_augment`: that of dataset.json, or the original's for this name."""
        return default_mirror(self._names, self.meta)

    @property
    def mirror_source(self) -> str:
        """Describes in a few words the source of `mirror`."""
        return mirror_source(self.path, self._names, self.meta)

    @property
    def _names(self) -> tuple[str, str]:
        """Names of the folder and of its files."""
        match = RECORDS_NAME.fullmatch(os.path.basename(next(iter(self.files.values())).path))
        return self.name, match["name"] if match else self.name

    def read_images(
        self, indices: Sequence[int] | np.ndarray, resolution_log2: int | None = None
    ) -> np.ndarray:
        """Reads one pyramid level by image number: [n] -> NHWC [n, H, W, C] of `dtype`."""
        level = self.resolution_log2 if resolution_log2 is None else resolution_log2
        return self.files[level].read(self._records(indices)).transpose(0, 2, 3, 1)

    def preview_of(self, images: np.ndarray, mapping: str | None = None) -> np.ndarray:
        """Images of `dtype` to look at: [..., C] -> uint8 [..., 3], or [..., 1] if gray.

        Args:
            images: such as `read_images` gives.
            mapping: channels or a color map; see `pgtf.previews`. None = `preview` of dataset.json.
        """
        low, high = self.meta.get("preview_range", self.value_range)
        return to_rgb(images, (low, high), mapping or self.meta.get("preview"))

    def read_labels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Reads labels by image number: [n] -> float32 [n, label_size]; label_size may be 0."""
        if self.label_file is None or self.label_size == 0:
            return np.zeros((len(indices), 0), np.float32)
        return self.label_file.read(self._records(indices))[:, : self.label_size]

    def subset(self, images: np.ndarray) -> Dataset:
        """Returns the dataset of some images, by number, in this order."""
        records = np.asarray(self._records(images), np.int64)
        return dataclasses.replace(self, chosen=records, num_images=len(records), first_image=0)

    def _records(self, indices: Sequence[int] | np.ndarray) -> Sequence[int] | np.ndarray:
        """Returns the numbers of the records of images."""
        if self.chosen is not None:
            found: np.ndarray = self.chosen[np.asarray(indices)]
            return found
        return np.asarray(indices) + self.first_image if self.first_image else indices


def open_dataset(
    path: str | os.PathLike[str],
    *,
    resolution: int | None = None,
    max_label_size: int | Literal["full"] | None = None,
    split: Part = "train",
) -> Dataset:
    """Opens a dataset folder and checks that it is complete, without reading all of it.

    Args:
        path: folder made by dataset_tool.py or by the original release.
        resolution: finest level to use, in pixels; None = all levels.
        max_label_size: number of label columns to use ("full" = all); None = none, with a warning
            if the dataset is labelled.
        split: "train" = all images but those that dataset.json holds out, "held_out" = only those,
            "all" = both.

    Raises:
        OSError: the folder does not exist, or a file cannot be read.
        NoDataset: the folder holds no record file.
        ValueError: a level is missing, or a file is truncated, foreign or of the wrong length.
    """
    path = os.fspath(path)
    try:
        names = retried(lambda: os.listdir(path), path)
    except (FileNotFoundError, NotADirectoryError):
        remedy = meant(path, folders_only=True) or spelled(" Create it with dataset_tool.py.")
        raise FileNotFoundError(f"{path}: no such dataset folder.{remedy}") from None
    names = [name for name in names if not is_hidden(name)]
    meta = read_description(path)
    files = open_levels(path, names, meta)
    top = files[max(files)]
    labels = open_labels(path, names, top.num_records)
    if meta.get("num_images", top.num_records) != top.num_records:
        raise ValueError(
            f"{top.path}: must hold the {meta['num_images']} images that {META_FILE} names. "
            f"Received: {top.num_records} records. Restore the files or create the dataset anew."
        )
    first, num_images = _part(path, top.num_records, num_held_out(meta), split)
    level = level_of(path, resolution, files)
    label_size = _label_size(path, labels, max_label_size)
    return Dataset(
        path=path,
        name=os.path.basename(os.path.abspath(path)),
        resolution_log2=level,
        num_channels=top.shape[0],
        num_images=num_images,
        label_size=label_size,
        label_names=label_names(meta)[:label_size],
        files={log2: file for log2, file in files.items() if log2 <= level},
        label_file=labels,
        meta=meta,
        first_image=first,
        grid=grid_of(meta),
        dtype=top.dtype,
        value_range=value_range_of(meta),
    )


def _part(path: str, num_records: int, held_out: int, split: Part) -> tuple[int, int]:
    """Returns the first record and the number of records of a part of a dataset."""
    num_train = num_records - held_out
    if num_train < 1:
        raise ValueError(
            f"{path}/{META_FILE}: `held_out` in `split` must leave images for training. Received: "
            f"{held_out} of {num_records}."
        )
    if split == "held_out" and not held_out:
        raise ValueError(
            f"{path}: must hold out images. Received: none. "
            f"`{spelled('dataset_tool.py create_from_images')} --held_out=...` makes one that does."
        )
    parts = {"train": (0, num_train), "held_out": (num_train, held_out), "all": (0, num_records)}
    return parts[split]


def _label_size(
    path: str, labels: Labels | None, max_label_size: int | Literal["full"] | None
) -> int:
    available = 0 if labels is None else labels.shape[1]
    if max_label_size == "full":
        return available
    if max_label_size is None:
        if available:
            logging.warning(
                "%s has %d label columns that are not used: max_label_size is not set "
                '("full" = all, 0 = none).',
                path,
                available,
            )
        return 0
    if max_label_size < 0:
        raise ValueError(
            f"`max_label_size` must be at least 0, or 'full'. Received: {max_label_size}."
        )
    return min(max_label_size, available)
