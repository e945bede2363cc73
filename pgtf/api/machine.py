"""Time, memory and disk space that a run takes on a machine, and warnings of them."""

from __future__ import annotations

import contextlib
import os

import tensorflow as tf

from pgtf.api.options import TrainOptions
from pgtf.config import PRESETS
from pgtf.dataset import Dataset
from pgtf.training import advice, estimate
from pgtf.training.config import RunConfig

SMALL_RESOLUTION = 64  # the largest that the demo preset's networks are worth while at
# Runs that take less on a CPU of 100 GFLOP/s are short enough not to measure this one.
_SLOW_CPU = estimate.Machine("a slow CPU", 1, 1.6e-11)


def machine(options: TrainOptions, config: RunConfig) -> estimate.Machine:
    """Describes what will train: GPUs that flags ask for or TensorFlow sees, or this CPU."""
    number = options.gpus
    if number is None:
        visible = tf.config.get_visible_devices("GPU")
        number = 0 if options.cpu_replicas else min(len(visible), 1)
    if number:
        return estimate.gpus(config.training.precision, number)
    with contextlib.suppress(RuntimeError):  # TensorFlow is in use already, perhaps with its GPUs.
        tf.config.set_visible_devices([], "GPU")
    return estimate.this_cpu(config.training.precision)


def machine_warnings(
    options: TrainOptions, config: RunConfig, num_images: int, dataset: Dataset | None = None
) -> list[str]:
    """Returns one line per warning that the number of images, time, memory and disk give reason to.

    Args:
        options: options of the run.
        config: made for the dataset.
        num_images: images to train on.
        dataset: opened dataset, None if it does not exist yet.
    """
    found = [
        advice.few_images_warning(num_images, bool(config.dataset.mirror_augment)),
        advice.disk_warning(config, os.fspath(options.outdir)),
        advice.large_dataset_warning(dataset) if dataset is not None else None,
    ]
    if estimate.seconds(config, _SLOW_CPU) >= advice.LONG_SEC:
        chosen = machine(options, config)
        sec = estimate.seconds(config, chosen)
        found.append(advice.slow_warning(sec, chosen, _smaller(config, chosen)))
    return [text for text in found if text is not None]


def _smaller(config: RunConfig, chosen: estimate.Machine) -> tuple[str, float]:
    """Returns flags that train small networks on the same images, and their estimated time."""
    resolution = min(config.G.resolution, SMALL_RESOLUTION)
    flags = "--preset=demo"
    if resolution < config.G.resolution:
        flags += f" --resolution={resolution}"
    small = PRESETS["demo"].for_dataset(
        resolution.bit_length() - 1,
        config.G.num_channels,
        0,
        config.schedule.num_gpus,
        grid=config.G.grid,
    )
    return flags, estimate.seconds(small, chosen)
