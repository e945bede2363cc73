"""Images -> a dataset folder: multi-resolution TFRecords, written in parallel, whole or not at all.

A source hands over its items (file names, numbers, arrays: whatever it likes) in the order of the
records, and a function that converts them to images in the workers:

    export(
        "datasets/cats",
        items=paths,             # any iterable; item i becomes record i
        num_items=len(paths),
        load=load_cats,          # list of items -> iterable of uint8 [C, H, W], or Rejected
        shape=(3, 256, 256),
        job={"command": "create_cats", "folder": folder},
    )

The folder appears under its name when it is complete. Until then it is NAME.partial, which an
interrupted job leaves behind; `resume=True` continues the job to the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from pgtf.dataset.arguments import check_arguments
from pgtf.dataset.description import DTYPE, META_FILE, PAPER_GRID, describe, value_range_of
from pgtf.dataset.encoder import Encoder, Load, Rejected
from pgtf.dataset.fingerprint import fingerprint
from pgtf.dataset.folder import CONTACT_SHEET, open_dataset
from pgtf.dataset.label_groups import label_groups
from pgtf.dataset.ownership import refuse_existing
from pgtf.dataset.partial import PartialFolder
from pgtf.dataset.record_files import check_disk_space, record_sizes, write_records
from pgtf.dataset.sidecars import label_size_of, write_contact_sheet, write_labels, write_meta
from pgtf.dataset.splits import Split
from pgtf.dataset.workers import default_num_workers, ordered_map
from pgtf.grids import Grid
from pgtf.previews import check_mapping

SHUFFLE_SEED = 123  # as in the original release
CHUNK_BYTES = 1 << 22  # full-resolution pixels per task of a worker
MAX_CHUNK = 1024  # images per task
TASKS_PER_WORKER = 4  # smallest number, even if tasks are small then
BYTES_PER_WORKER = 1 << 24  # With fewer bytes of pixels a worker is not worth starting.


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every create command."""

    num_workers: int | None = None  # processes at most; None = one per core
    resume: bool = False  # continue an interrupted job
    grid: Grid = PAPER_GRID  # size of the coarsest level
    preview: str | None = None  # colors of the contact sheet; see `pgtf.previews`


@dataclasses.dataclass(frozen=True)
class Summary:
    """Facts about a dataset that was written."""

    path: str
    num_images: int
    resolution: int
    num_channels: int
    size: tuple[int, int]  # height and width
    dtype: str
    value_range: tuple[float, float]
    label_size: int
    label_names: tuple[str, ...]
    num_bytes: int  # on disk
    seconds: float
    contact_sheet: str
    rejected: tuple[Rejected, ...]
    num_masks: int = 0  # of the channels, the last ones
    num_held_out: int = 0  # of the images, which training never sees
    skipped: tuple[str, ...] = ()  # files of other kinds in the source
    # Names or kinds of what is no source of images, such as hidden files, and how many there are.
    passed_over: tuple[tuple[str, int], ...] = ()


def shuffled(num_items: int) -> np.ndarray:
    """Order in which the original release writes `num_items` images: int64 [num_items]."""
    order = np.arange(num_items)
    np.random.RandomState(SHUFFLE_SEED).shuffle(order)
    return order


def random_state(name: str, seed: int) -> np.random.RandomState:
    """Random numbers of a seed, which was given as argument `name`."""
    if not 0 <= seed < 1 << 32:
        raise ValueError(f"`{name}` must be 0 to {(1 << 32) - 1}. Received: {name}={seed}.")
    return np.random.RandomState(seed)


def load_arrays(items: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the items: the `load` of sources whose items are images."""
    return items


def export(
    tfrecord_dir: str,
    *,
    items: Iterable[Any],
    num_items: int,
    load: Load,
    shape: tuple[int, int, int],
    job: Mapping[str, Any],
    dtype: str = DTYPE,
    labels: np.ndarray | None = None,
    label_names: Sequence[str] = (),
    meta: Mapping[str, Any] | None = None,
    max_images: int | None = None,
    max_errors: int | None = 0,
    report: str | None = None,
    split: Split | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Writes a dataset folder; order and bytes do not depend on the number of workers.

    Args:
        tfrecord_dir: folder to create; must not exist.
        items: inputs of `load` in the order of the records; read lazily.
        num_items: number of items.
        load: runs in a worker: list of items -> as many [C, H, W] or Rejected. A function, or an
            instance that can be pickled.
        shape: [C, H, W] of every image; C is 1 to 64, H and W are the grid's times a power of two.
        job: the `command` and the source of its images, JSON; `resume` continues the same job only.
        dtype: type of the images: uint8, uint16 or float32.
        labels: [num_items, L], row i for item i, stored as float32; or class numbers [num_items],
            stored as one-hot codes of length highest + 1. None = unlabelled.
        label_names: names of the L columns, if known.
        meta: more fields of dataset.json, for example `mirror`, the default of mirror_augment.
            Without `mirror` the name of the folder decides, as in the original release. `range` is
            that of the values, if they are not uint8.
        max_images: number of records to write at most.
        max_errors: number of items that may be rejected, None = any; one more ends the job.
        report: name of a file in the folder that `load` appends to; synced with the records.
        split: items that training shall never see, the last ones; None = it sees all.
        options: see there.

    Raises:
        ValueError: an item was rejected, an argument is wrong, or another job was interrupted.
        OSError: the folder exists, the disk is too small, or a file cannot be written.
    """
    start = time.perf_counter()
    target = os.fspath(tfrecord_dir).rstrip("/")
    refuse_existing(target)
    grid = options.grid
    check_arguments(shape, num_items, labels, max_errors, grid)
    limit = num_items if max_images is None else min(max_images, num_items)
    label_size = label_size_of(labels)
    label_names = tuple(label_names)[:label_size]
    name = os.path.basename(os.path.abspath(target))
    sizes = record_sizes(name, shape, grid, dtype)
    job = {"shape": list(shape), "num_items": num_items, "limit": limit, **job}
    # An older version may have begun a job that has neither.
    job |= ({} if grid == PAPER_GRID else {"grid": str(grid)}) | (
        {} if dtype == DTYPE else {"dtype": dtype}
    )
    others = [_label_file(name), META_FILE, CONTACT_SHEET, *([report] if report else [])]
    with PartialFolder(target, sizes, job, options.resume, others) as folder:
        num_missing = limit - folder.num_records
        check_disk_space(folder.path, num_missing * (sum(sizes.values()) + 4 * label_size))
        encoder = Encoder(load, shape, folder.record_paths, grid, dtype)
        _write_records(folder, items, num_items, encoder, limit, max_errors, options)
        facts: dict[str, Any] = {"source": job["command"], "label_names": list(label_names)}
        facts |= meta or {}
        if options.preview:
            facts["preview"] = check_mapping(options.preview, shape[0])
        meta = describe(shape, 0, facts, grid, dtype)
        counts = _write_sidecars(folder, name, meta, labels, split)
        folder.publish()
    rejected = tuple(Rejected(*why) for _, why in sorted(folder.rejected.items()))
    return _summarize(target, counts, meta, shape, label_size, label_names, rejected, start)


def _summarize(
    target: str,
    counts: tuple[int, int],
    meta: Mapping[str, Any],
    shape: tuple[int, int, int],
    label_size: int,
    label_names: tuple[str, ...],
    rejected: tuple[Rejected, ...],
    start: float,
) -> Summary:
    return Summary(
        path=target,
        num_images=counts[0],
        num_held_out=counts[1],
        resolution=meta["resolution"],
        num_channels=shape[0],
        num_masks=len(meta.get("masks", ())),
        size=shape[1:],
        dtype=meta["dtype"],
        value_range=value_range_of(meta),
        label_size=label_size,
        label_names=label_names,
        num_bytes=sum(entry.stat().st_size for entry in os.scandir(target)),
        seconds=time.perf_counter() - start,
        contact_sheet=os.path.join(target, CONTACT_SHEET),
        rejected=rejected,
    )


def _write_records(
    folder: PartialFolder,
    items: Iterable[Any],
    num_items: int,
    encoder: Encoder,
    limit: int,
    max_errors: int | None,
    options: Options,
) -> None:
    num_workers = options.num_workers or default_num_workers()
    image_bytes = math.prod(encoder.shape) * np.dtype(encoder.dtype).itemsize
    num_workers = min(num_workers, 1 + num_items * image_bytes // BYTES_PER_WORKER)
    # If nothing may be rejected, item i is record i, and workers can write the records themselves.
    is_direct = max_errors == 0
    end = limit if is_direct else num_items
    encode = encoder if is_direct else dataclasses.replace(encoder, paths=None)
    size = min(CHUNK_BYTES // image_bytes, MAX_CHUNK)
    size = max(min(size, num_items // (TASKS_PER_WORKER * num_workers)), 1)
    rest = itertools.islice(items, folder.num_items, end)
    results = ordered_map(encode, _chunks(rest, folder.num_items, size), num_workers)
    with (
        contextlib.closing(results),  # type: ignore[type-var]
        tqdm(
            total=limit, initial=folder.num_records, unit="img", desc="Writing", disable=None
        ) as bar,
    ):
        for result in results:
            encoded = result.first(limit - folder.num_records)
            folder.refuse(encoded.rejected, max_errors)
            if encoded.records:
                write_records(folder.record_paths, encoded.records, folder.num_records)
            folder.advance(encoded.num_records, encoded.num_items, encoded.rejected)
            bar.update(encoded.num_records)
            if folder.num_records == limit:
                break


def _write_sidecars(
    folder: PartialFolder,
    name: str,
    meta: Mapping[str, Any],
    labels: np.ndarray | None,
    split: Split | None,
) -> tuple[int, int]:
    """Writes the files beside the records; returns the numbers of images, and of held-out ones.

    Args:
        folder: folder in the making.
        name: name of the dataset.
        meta: content of dataset.json, but for the number of images.
        labels: see `export`.
        split: see `export`.
    """
    kept = np.delete(np.arange(folder.num_items), list(folder.rejected))[: folder.num_records]
    if not len(kept):
        name, reason = folder.rejected[0]
        raise ValueError(
            f"{folder.path}: none of {folder.num_items} images could be used; {name}: {reason}"
        )
    content = {**meta, "num_images": len(kept)}
    num_held_out = 0
    if split is not None and (num_held_out := int((kept >= split.first).sum())):
        content["split"] = {"held_out": num_held_out, "seed": split.seed, "by": split.by}
    if labels is not None:
        path = os.path.join(folder.path, _label_file(name))
        write_labels(path, labels[kept], label_size_of(labels))
        seen = labels[kept[: len(kept) - num_held_out]]
        content["label_groups"] = label_groups(seen, meta["label_names"])
    write_meta(folder.path, content)
    dataset = open_dataset(folder.path, max_label_size="full", split="all")
    write_meta(folder.path, content | {"fingerprint": fingerprint(dataset)})
    write_contact_sheet(dataset)
    return len(kept), num_held_out


def _label_file(name: str) -> str:
    return f"{name}-rxx.labels"


def _chunks(items: Iterable[Any], first: int, size: int) -> Iterator[tuple[int, list[Any]]]:
    """Yields (number of the first item, items) for `size` items at a time."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield first, chunk
        first += len(chunk)
