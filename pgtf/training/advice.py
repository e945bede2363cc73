"""Warnings about a run that will train, but hardly as intended."""

from __future__ import annotations

import math
import os
import shutil

from pgtf import losses
from pgtf.dataset import Dataset
from pgtf.grids import SQUARE_GRID, Grid
from pgtf.installation import spelled
from pgtf.label_groups import CLASS
from pgtf.schedule import Schedule
from pgtf.training import estimate
from pgtf.training.config import RunConfig

_NUM_ROWS = 4096  # labels that are read, evenly spaced
FEW_IMAGES = 2000  # fewer are learnt by heart before the networks are good
LONG_SEC = 3 * 86400.0  # of training on a CPU


def warnings(config: RunConfig, dataset: Dataset) -> list[str]:
    """Returns one line per warning about a run.

    Args:
        config: made for the dataset.
        dataset: opened dataset.
    """
    found = (
        growth_warning(config.schedule, config.training.total_kimg, config.G.base),
        label_warning(config, dataset),
    )
    return [text for text in found if text is not None]


def growth_warning(schedule: Schedule, total_kimg: float, grid: Grid = SQUARE_GRID) -> str | None:
    """Warns of training that ends before the images have their full resolution; None if not."""
    growth_kimg = schedule.growth_kimg
    if growth_kimg <= total_kimg:
        return None
    full = grid.size_text(2**schedule.resolution_log2)
    reached = _position(schedule.lod(math.ceil(total_kimg * 1000)), schedule, grid)
    if math.isinf(growth_kimg):
        return (
            f"training stays {reached}, far from {full}, because `lod_training_kimg` and "
            "`lod_transition_kimg` are 0. Set --config.schedule.lod_training_kimg, or train at the "
            "full resolution with --config.schedule.lod_initial_resolution=none."
        )
    return (
        f"training ends {reached}, not at {full}: the last fade ends after {growth_kimg:g} kimg, "
        f"and total_kimg is {total_kimg:g}. Train longer (--total_kimg={growth_kimg:g} or more), "
        "or scale the phases of the schedule to the length with --fit_schedule."
    )


def snapshot_warning(
    lod: float, schedule: Schedule, total_kimg: float | None, grid: Grid = SQUARE_GRID
) -> str | None:
    """Warns of a network that has not grown to its full resolution; None if it has.

    Args:
        lod: level of detail of the network.
        schedule: schedule of its run; without one, any of the same resolution.
        total_kimg: length of its run, None if unknown.
        grid: size of its smallest images.
    """
    if lod <= 0:
        return None
    full = grid.size_text(2**schedule.resolution_log2)
    text = f"the network is {_position(lod, schedule, grid)}, not at {full} (lod {lod:g})"
    if total_kimg is None:
        return f"{text}. Take a later snapshot of its run, or train it further with --resume_pkl."
    if growth := growth_warning(schedule, total_kimg, grid):
        return f"{text}. In its run {growth}"
    return (
        f"{text}. Its run is there after {schedule.growth_kimg:g} kimg: take a "
        "later snapshot, or train it further."
    )


def label_warning(config: RunConfig, dataset: Dataset) -> str | None:
    """Warns of labels with which the AC-GAN terms cannot become small; None if they can."""
    if not dataset.label_size or not config.loss.cond_weight:
        return None
    step = max(dataset.num_images // _NUM_ROWS, 1)
    rows, groups = dataset.read_labels(range(0, dataset.num_images, step)), dataset.label_groups
    least = [
        losses.least_label_penalty(rows[:, group.slice]).mean() / len(groups)
        for group in groups
        if group.kind == CLASS
    ]
    mean = config.loss.cond_weight * float(sum(least))
    if 0 <= mean < 0.01:  # one-hot up to rounding
        return None
    size = f"is at least {mean:.1f}" if mean > 0 else "has no minimum"
    return (
        f"the {dataset.label_size} label columns of {dataset.path} are not one-hot: their part of "
        f"the loss, a softmax cross-entropy, {size}, and drowns the other parts, which are about "
        "1. Use one column per class, describe the columns in `label_groups` of dataset.json, or "
        "train without labels: --config.dataset.max_label_size=0."
    )


def few_images_warning(num_images: int, mirrored: bool) -> str | None:
    """Warns of a dataset that the discriminator will soon know by heart; None if it is large."""
    if num_images >= FEW_IMAGES:
        return None
    mirror = "" if mirrored else "mirror them (--config.dataset.mirror_augment=true), "
    return (
        f"the dataset has {num_images} images. D learns fewer than about {FEW_IMAGES:,} by heart, "
        "and then fakes get worse, or copy them: compare snapshots with --metrics=swd, and look at "
        f"{spelled('`python -m metrics neighbours`')}. Add images, {mirror}augment what D sees "
        "(--aug=ada), train at a lower --resolution, or begin with a network of similar images "
        "(--transfer=FILE)."
    )


def slow_warning(
    sec: float, machine: estimate.Machine, smaller: tuple[str, float] | None
) -> str | None:
    """Warns of a training that takes days on a CPU; None if it does not.

    Args:
        sec: estimated time.
        machine: what trains.
        smaller: flags of a training that is fast enough, and its estimated time; None = none.
    """
    if machine.num_cores is None or sec < LONG_SEC:
        return None
    remedy = ""
    if smaller is not None and smaller[1] < sec / 2:
        remedy = f", or smaller networks: {smaller[0]} takes about {estimate.duration(smaller[1])}"
    return (
        f"this training takes about {estimate.duration(sec)} on {machine.name}. Use a GPU, a lower "
        f"--resolution{remedy}."
    )


def large_dataset_warning(dataset: Dataset) -> str | None:
    """Warns of a finest level that the memory of the machine cannot keep; None if it can."""
    file = dataset.files[dataset.resolution_log2]
    needed, memory = file.num_records * file.record_size, physical_memory()
    if memory is None or needed <= memory:
        return None
    full = dataset.grid.size_text(dataset.resolution)
    return (
        f"the {full} images have {estimate.size(needed)} and this machine {estimate.size(memory)} "
        f"of memory, so each is read from disk again: keep {dataset.path} on a local SSD."
    )


def disk_warning(config: RunConfig, outdir: str) -> str | None:
    """Warns of a disk that has less free space than the run may take; None if it has enough."""
    place = os.path.realpath(outdir)
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    space, free = estimate.disk(config), shutil.disk_usage(place).free
    if space.total <= free:
        return None
    every = config.training.network_snapshot_ticks
    fewer = math.ceil(every * space.num_snapshots / 5)
    return (
        f"the run may take {estimate.size(space.total)}, and {place} has {estimate.size(free)} "
        f"free. --config.training.network_snapshot_ticks={fewer} keeps about 5 snapshots of "
        f"{estimate.size(space.snapshot_bytes)} instead of {space.num_snapshots}."
    )


def physical_memory() -> int | None:
    """Returns the bytes of memory of the machine, None if it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _position(lod: float, schedule: Schedule, grid: Grid) -> str:
    """Names the resolution at a level of detail: "at 16x16", or "in the fade from 8x8 to 16x16"."""
    levels = (schedule.resolution_log2 - level for level in (math.floor(lod), math.ceil(lod)))
    finer, coarser = (grid.size_text(2**level) for level in levels)
    return f"at {finer}" if finer == coarser else f"in the fade from {coarser} to {finer}"
