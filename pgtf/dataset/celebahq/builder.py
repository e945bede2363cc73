"""Builds CelebA-HQ as a dataset folder: checks inputs, makes images in parallel, reports."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pgtf.dataset.celebahq.geometry import SIZE
from pgtf.dataset.celebahq.inputs import Row, read_attributes
from pgtf.dataset.celebahq.maker import Item, Maker
from pgtf.dataset.celebahq.preflight import Check, Preflight, check_inputs
from pgtf.dataset.celebahq.report import REPORT_FILE, Result, finish_report
from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.partial import SUFFIX
from pgtf.dataset.pyramid import check_size
from pgtf.grids import MIN_RESOLUTION_LOG2, Grid

NUM_IMAGES = 202_599  # images in CelebA
NUM_ZIPS = 30
RESOLUTIONS = tuple(1 << log2 for log2 in range(MIN_RESOLUTION_LOG2, SIZE.bit_length()))
FIRST_JPEG_MD5 = "9cad8178d6cb0196b36f7b34bc5eb6d3"  # 000001.jpg as libjpeg 8d decodes it


@dataclasses.dataclass(frozen=True)
class Built:
    """The result of `build`."""

    summary: Summary
    results: list[Result]  # one per row of image_list.txt


def build(
    tfrecord_dir: str | os.PathLike[str],  # dataset folder to create; must not exist
    celeba_dir: str | os.PathLike[str],  # folder with img_celeba and Anno
    delta_dir: str | os.PathLike[str],  # folder with image_list.txt and delta*.zip
    *,
    num_images: int = NUM_IMAGES,  # JPEG files and rows of landmarks in CelebA
    num_zips: int = NUM_ZIPS,  # archives of deltas
    first_jpeg_md5: str | None = FIRST_JPEG_MD5,  # decoded 000001.jpg, H, W, C; None = unchecked
    num_workers: int | None = None,  # processes; None = one per core
    on_error: Literal["stop", "skip"] = "stop",  # if an image cannot be made
    tolerant: bool = False,  # keep images whose photograph decrypts the delta but pixels differ
    labels: Literal["none", "attributes"] = "none",  # CelebA's attributes: 1 = present, 0 = absent
    resolution: int = SIZE,  # finest level, a power of two up to 1024
    images_dir: str | os.PathLike[str] | None = None,  # also receives IDX.png files, 5 digits
    check: Check = "quick",  # "full" also compares the checksums of all deltas: minutes
    preflight: Preflight | None = None,  # result of an earlier `check_inputs`
    grid: Grid = PAPER_GRID,  # size of the coarsest level
    preview: str | None = None,  # colors of the contact sheet; see `pgtf.previews`
) -> Built:
    """Builds CelebA-HQ in the order and with the pixels of the original release.

    An interrupted build leaves TFRECORD_DIR.partial; the same call continues it to the same bytes.

    Raises:
        ValueError: an input is not as published, or an image cannot be made and `on_error` is
            "stop".
        OSError: a file cannot be read or written, or the disk is too small.
    """
    target = os.fspath(tfrecord_dir).rstrip("/")
    celeba_dir, delta_dir = os.fspath(celeba_dir), os.fspath(delta_dir)
    if resolution not in RESOLUTIONS:
        raise ValueError(
            f"`resolution` must be one of {RESOLUTIONS}. Received: resolution={resolution}."
        )
    check_size(resolution, resolution, grid)
    preflight = preflight or check_inputs(
        celeba_dir,
        delta_dir,
        num_images=num_images,
        num_zips=num_zips,
        first_jpeg_md5=first_jpeg_md5,
        check=check,
    )
    if on_error == "stop":
        preflight.refuse_problems()
    maker = Maker(
        celeba_dir,
        delta_dir,
        resolution=resolution,
        tolerant=tolerant,
        skip=on_error == "skip",
        report=os.path.join(target + SUFFIX, REPORT_FILE),
        images_dir=None if images_dir is None else _absolute_images_dir(images_dir, target),
    )
    summary = _export(target, preflight, maker, labels, Options(num_workers, True, grid, preview))
    return Built(summary, finish_report(os.path.join(target, REPORT_FILE), preflight.rows))


def _absolute_images_dir(images_dir: str | os.PathLike[str], target: str) -> str:
    folder, new = os.path.abspath(images_dir), os.path.abspath(target)
    if os.path.commonpath([folder, new]) == new:
        raise ValueError(
            f"`images_dir` must lie outside of {target}, which must not exist. Received: {folder}."
        )
    return folder


def _export(
    target: str, preflight: Preflight, maker: Maker, labels: str, options: Options
) -> Summary:
    """Writes the images of `maker` in the published order."""
    order = [preflight.rows[number] for number in shuffled(len(preflight.rows))]
    label_names, label_matrix = _labels(maker.celeba_dir, labels, preflight, order)
    if maker.images_dir is not None:
        os.makedirs(maker.images_dir, exist_ok=True)
    return export(
        target,
        items=(Item(row, preflight.landmarks[row.orig_idx]) for row in order),
        num_items=len(order),
        load=maker,
        shape=(3, maker.resolution, maker.resolution),
        job={  # without `on_error`: a bad image may come after hours, and may then be skipped
            "command": "create_celebahq",
            "celeba_dir": os.path.abspath(maker.celeba_dir),
            "delta_dir": os.path.abspath(maker.delta_dir),
            "tolerant": maker.tolerant,
            "labels": labels,
            "images_dir": maker.images_dir,
            "image_list": hashlib.sha256(repr(preflight.rows).encode()).hexdigest(),
        },
        meta={"mirror": True},
        labels=label_matrix,
        label_names=label_names,
        max_errors=None,  # the Maker decides when to stop
        report=REPORT_FILE,
        options=options,
    )


def _labels(
    celeba_dir: str, labels: str, preflight: Preflight, order: Sequence[Row]
) -> tuple[Sequence[str], np.ndarray | None]:
    """Names of the label columns, and float32 [images, columns] or None."""
    if labels == "none":
        return (), None
    return read_attributes(celeba_dir, len(preflight.landmarks), order)
