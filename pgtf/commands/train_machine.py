"""The machine that will train, and warnings about what a run asks of it."""

from __future__ import annotations

import contextlib
import dataclasses

import tensorflow as tf

from pgtf.config import PRESETS
from pgtf.dataset import Dataset
from pgtf.training import advice, estimate
from pgtf.training.config import RunConfig

SMALL_RESOLUTION = 64  # the largest that the demo preset's networks are worth while at
# Runs that take less on a CPU of 100 GFLOP/s are short enough not to measure this one.
_SLOW_CPU = estimate.Machine("a slow CPU", 1, 1.6e-11)


@dataclasses.dataclass(frozen=True)
class Choice:
    """The devices that flags choose."""

    precision: str
    num_gpus: int | None  # None = one if there is any
    cpu_replicas: int = 0

    def measured(self) -> estimate.Machine:
        """Describes the GPUs by a table, or measures this CPU, once per process."""
        number = self.num_gpus
        if number is None:
            visible = tf.config.get_visible_devices("GPU")
            number = 0 if self.cpu_replicas else min(len(visible), 1)
        if number:
            return estimate.gpus(self.precision, number)
        with contextlib.suppress(RuntimeError):  # TensorFlow is in use, perhaps with its GPUs.
            tf.config.set_visible_devices([], "GPU")
        return estimate.this_cpu(self.precision)


def warnings(
    config: RunConfig,
    choice: Choice,
    num_images: int,
    outdir: str,
    dataset: Dataset | None = None,
) -> list[str]:
    """Returns one line per warning about the number of images, disk, memory and time.

    Args:
        config: made for the dataset.
        choice: what will train.
        num_images: images to train on.
        outdir: folder of the run folders.
        dataset: opened dataset, None if it does not exist yet.
    """
    found = [
        advice.few_images_warning(num_images, bool(config.dataset.mirror_augment)),
        advice.disk_warning(config, outdir),
        advice.large_dataset_warning(dataset) if dataset is not None else None,
    ]
    if estimate.seconds(config, _SLOW_CPU) >= advice.LONG_SEC:
        machine = choice.measured()
        sec = estimate.seconds(config, machine)
        found.append(advice.slow_warning(sec, machine, smaller(config, machine)))
    return [text for text in found if text is not None]


def smaller(config: RunConfig, machine: estimate.Machine) -> tuple[str, float]:
    """Returns flags that train small networks on the same images, and their estimated time."""
    resolution = min(config.G.resolution, SMALL_RESOLUTION)
    flags = "--preset=demo"
    if resolution < config.G.resolution:
        flags += f" --resolution={resolution}"
    small = PRESETS["demo"].for_dataset(
        resolution.bit_length() - 1, config.G.num_channels, 0, config.schedule.num_gpus
    )
    return flags, estimate.seconds(small, machine)
