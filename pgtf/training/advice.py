"""Warnings about a run that will train, but hardly as intended."""

from __future__ import annotations

import math

from pgtf import losses
from pgtf.dataset import Dataset
from pgtf.schedule import Schedule
from pgtf.training.config import RunConfig

_NUM_ROWS = 4096  # labels that are read, evenly spaced


def warnings(config: RunConfig, dataset: Dataset) -> list[str]:
    """Returns one line per warning about a run.

    Args:
        config: made for the dataset.
        dataset: opened dataset.
    """
    found = (
        growth_warning(config.schedule, config.training.total_kimg),
        label_warning(config, dataset),
    )
    return [text for text in found if text is not None]


def growth_warning(schedule: Schedule, total_kimg: float) -> str | None:
    """Warns of training that ends before the images have their full resolution; None if not."""
    growth_kimg = schedule.growth_kimg
    if growth_kimg <= total_kimg:
        return None
    full = _size(schedule.resolution_log2)
    reached = _position(schedule.lod(math.ceil(total_kimg * 1000)), schedule)
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


def snapshot_warning(lod: float, schedule: Schedule, total_kimg: float | None) -> str | None:
    """Warns of a network that has not grown to its full resolution; None if it has.

    Args:
        lod: level of detail of the network.
        schedule: schedule of its run; without one, any of the same resolution.
        total_kimg: length of its run, None if unknown.
    """
    if lod <= 0:
        return None
    full = _size(schedule.resolution_log2)
    text = f"the network is {_position(lod, schedule)}, not at {full} (lod {lod:g})"
    if total_kimg is None:
        return f"{text}. Take a later snapshot of its run, or train it further with --resume_pkl."
    if growth := growth_warning(schedule, total_kimg):
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
    least = losses.least_label_penalty(dataset.read_labels(range(0, dataset.num_images, step)))
    mean = config.loss.cond_weight * float(least.mean())
    if 0 <= mean < 0.01:  # one-hot up to rounding
        return None
    size = f"is at least {mean:.1f}" if mean > 0 else "has no minimum"
    return (
        f"the {dataset.label_size} label columns of {dataset.path} are not one-hot: their part of "
        f"the loss, a softmax cross-entropy, {size}, and drowns the other parts, which are about "
        "1. Use one column per class, or train without labels: --config.dataset.max_label_size=0."
    )


def _position(lod: float, schedule: Schedule) -> str:
    """Names the resolution at a level of detail: "at 16x16", or "in the fade from 8x8 to 16x16"."""
    finer = _size(schedule.resolution_log2 - math.floor(lod))
    coarser = _size(schedule.resolution_log2 - math.ceil(lod))
    return f"at {finer}" if finer == coarser else f"in the fade from {coarser} to {finer}"


def _size(resolution_log2: int) -> str:
    return f"{1 << resolution_log2}x{1 << resolution_log2}"
