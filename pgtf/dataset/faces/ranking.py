"""Ranks images by quality: scores them in parallel, writes a table and a sheet, keeps the best."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from pgtf import files
from pgtf import images as images_lib
from pgtf.dataset.encoder import Load, Rejected
from pgtf.dataset.exporter import Options
from pgtf.dataset.faces.photographs import LoadPhotographs
from pgtf.dataset.faces.quality import PATCH, quality
from pgtf.dataset.ownership import refuse_existing
from pgtf.dataset.partial import PartialFolder
from pgtf.dataset.record_files import write_records
from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import fit
from pgtf.dataset.sources.ranges import Range
from pgtf.dataset.sources.survey import known_range
from pgtf.dataset.workers import default_num_workers, ordered_map
from pgtf.foreign.limits import MAX_PIXELS

SCORES_FILE = "scores.csv"
SHEET_FILE = "quality.png"
BEST_FOLDER = "best"
RECORDS = {"scores.f64": 8}  # one float64 per item while the job runs; NaN = rejected
CHUNK = 8  # items per task of a worker
SHEET_COLUMNS = 8  # images per row of the contact sheet
SHEET_SIDE = 128  # side of each in pixels


@dataclasses.dataclass(frozen=True)
class Ranked:
    """The result of `rank_images`."""

    path: str
    num_images: int
    num_kept: int
    rejected: tuple[Rejected, ...]


def rank_images(
    image_dir: str,
    keep: int,
    out: str | None = None,
    max_errors: int = 0,
    options: Options = Options(),  # noqa: B008 (frozen)
    max_pixels: int = MAX_PIXELS,
    value_range: Range | Literal["auto"] | None = None,
) -> Ranked:
    """Ranks the image files in a folder and keeps the best as links in a new folder.

    The new folder has scores.csv, quality.png (the best, middle and worst images) and best/, which
    has the best files under their names in `image_dir`.

    Args:
        image_dir: folder of image files of any kind and size.
        keep: number of images to keep.
        out: folder to create; None = `image_dir` with -ranked added.
        max_errors: unusable files that are skipped before the job gives up.
        options: number of workers, and whether to continue an interrupted job.
        max_pixels: of a file.
        value_range: stored values that become black and white; None = all of their type.

    Raises:
        ValueError: a file cannot be used, or an argument is wrong.
        OSError: `out` exists, or a file cannot be read or written.
    """
    target = (out or default_folder(image_dir)).rstrip("/")
    refuse_existing(target, "out")
    names, _ = list_images(image_dir)
    source = os.path.abspath(image_dir)
    if os.path.commonpath([source, os.path.abspath(target)]) == source:
        raise ValueError(f"`out` must lie outside of {image_dir}. Received: out={target}.")
    job: dict[str, Any] = {
        "command": "rank_images",
        "image_dir": source,
        "files": hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest(),
        "keep": keep,
    }
    value_range = known_range(value_range, image_dir, names, max_pixels, options.num_workers)
    if value_range is not None:
        job["range"] = value_range
    load = LoadPhotographs(image_dir, "white", PATCH, max_pixels, value_range)
    others = SCORES_FILE, SHEET_FILE
    with PartialFolder(target, RECORDS, job, options.resume, others) as folder:
        scores = score(folder, names, load, max_errors, options.num_workers)
        order = best_first(scores)
        kept = set(order[:keep].tolist())
        rows = [(names[i], i in kept) for i in order]
        write_scores(os.path.join(folder.path, SCORES_FILE), scores[order], rows, ["file", "kept"])
        sheet = os.path.join(folder.path, SHEET_FILE)
        write_sheet(sheet, order, lambda chosen: load([names[i] for i in chosen]))
        # Record the scores before `best` has links: a job that starts anew would have to delete
        # users' files.
        folder.save()
        for number in kept:
            _link(os.path.join(source, names[number]), folder.path, names[number])
        folder.publish()
    for name in RECORDS:
        os.unlink(os.path.join(target, name))
    rejected = tuple(Rejected(*why) for _, why in sorted(folder.rejected.items()))
    return Ranked(target, len(names), len(kept), rejected)


def default_folder(image_dir: str) -> str:
    """The folder that `rank_images` creates by default."""
    return f"{os.path.abspath(image_dir)}-ranked"


def score(
    folder: PartialFolder,
    items: Sequence[Any],
    load: Load,
    max_errors: int | None,
    num_workers: int | None,
) -> np.ndarray:
    """Scores images in parallel, and continues an interrupted job.

    Args:
        folder: has the files of RECORDS.
        items: arguments of `load`.
        load: as in `exporter.export`, for images of any size: -> uint8 [C, H, W] or Rejected.
        max_errors: number of items that may be rejected; None = any number.
        num_workers: processes at most; None = one per core.

    Returns:
        float64 [items], NaN for rejected items.

    Raises:
        ValueError: too many items were rejected, or all of them.
    """
    num_workers = min(num_workers or default_num_workers(), -(-len(items) // CHUNK))
    rest = range(folder.num_items, len(items), CHUNK)
    chunks = (list(items[start : start + CHUNK]) for start in rest)
    results = ordered_map(_Scorer(load), chunks, num_workers)
    with (
        contextlib.closing(results),  # type: ignore[type-var]
        tqdm(
            total=len(items), initial=folder.num_items, unit="img", desc="Ranking", disable=None
        ) as bar,
    ):
        for values, rejected in results:
            folder.refuse(rejected, max_errors)
            records = values.view(np.uint8).reshape(-1, values.itemsize)
            write_records(folder.record_paths, [records], folder.num_records)
            folder.advance(len(values), len(values), rejected)
            bar.update(len(values))
    scores = np.fromfile(folder.record_paths[0], np.float64)
    if np.isnan(scores).all():
        name, why = folder.rejected[0]
        raise ValueError(f"none of {len(items)} images could be used; {name}: {why}")
    return scores


@dataclasses.dataclass(frozen=True)
class _Scorer:
    """Scores items in a worker."""

    load: Load

    def __call__(self, items: list[Any]) -> tuple[np.ndarray, dict[int, tuple[str, str]]]:
        """Returns float64 [items], and (name, reason) by the place of each rejected item."""
        values = np.full(len(items), np.nan)
        rejected = {}
        for place, image in enumerate(self.load(items)):
            if isinstance(image, Rejected):
                rejected[place] = (image.name, image.reason)
            else:
                values[place] = quality(image)
        return values, rejected


def best_first(scores: np.ndarray) -> np.ndarray:
    """Sorts places by score, highest first, ties in order, without NaN: -> int64 [n]."""
    order = np.argsort(-scores, kind="stable")  # NaN last
    return np.asarray(order[: np.count_nonzero(~np.isnan(scores))])


def write_scores(
    path: str, scores: np.ndarray, rows: Iterable[Sequence[Any]], columns: Sequence[str]
) -> None:
    """Writes the table of scores, which are sorted; True and False become 1 and 0."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "score", *columns])
    for rank, (value, row) in enumerate(zip(scores.tolist(), rows, strict=True), 1):
        cells = [int(cell) if isinstance(cell, bool) else cell for cell in row]
        writer.writerow([rank, f"{value:.6f}", *cells])
    files.write_atomically(path, text.getvalue().encode("utf-8", "backslashreplace"))


def write_sheet(
    path: str,
    order: np.ndarray,
    make: Callable[[Sequence[int]], Iterable[np.ndarray | Rejected]],
) -> None:
    """Writes a picture whose rows are the best, middle and worst images.

    Args:
        path: of the PNG file.
        order: places of the images, best first.
        make: makes the images at some places: -> uint8 [C, H, W] each.
    """
    num = min(SHEET_COLUMNS, len(order))
    middle = (len(order) - num) // 2
    rows = order[:num], order[middle : middle + num], order[len(order) - num :]
    chosen = [int(place) for place in itertools.chain(*rows)]
    cells = [_thumbnail(x) for x in make(chosen) if not isinstance(x, Rejected)]
    images_lib.save_image_grid(path, np.stack(cells), (num, len(rows)))


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Crops and shrinks an image: uint8 [C, H, W] -> uint8 [SHEET_SIDE, SHEET_SIDE, 3]."""
    picture = images_lib.to_pil(np.ascontiguousarray(image.transpose(1, 2, 0)))
    return np.asarray(fit(picture.convert("RGB"), (SHEET_SIDE, SHEET_SIDE), "center-crop"))


def _link(source: str, folder: str, name: str) -> None:
    """Links a file into best/, which takes no space, or copies it if it cannot be linked."""
    path = os.path.join(folder, BEST_FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):  # an interrupted job has linked it
        try:
            os.link(os.path.realpath(source), path)
        except FileExistsError:
            raise
        except OSError:
            shutil.copy2(source, path)
