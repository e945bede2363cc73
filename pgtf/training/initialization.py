"""Initialization of D that depends on the data."""

from __future__ import annotations

from pgtf.dataset import Dataset, order, pipeline
from pgtf.networks import Discriminator
from pgtf.training.config import RunConfig

NUM_REALS = 500  # original Theano release


def initialize_discrimination(D: Discriminator, config: RunConfig, dataset: Dataset) -> None:
    """Fits D's minibatch discrimination to the first reals of the run. No-op if D has none."""
    if config.D.mbdisc_kernels is None:
        return
    first = config.schedule.at(0)
    num = min(NUM_REALS, dataset.num_images)  # no image twice: its nearest would be itself
    num -= num % config.D.group_of(num)
    records = order.record_order(config.training.seed, range(num), dataset.num_images).numpy()
    images = dataset.read_images(records, first.resolution.bit_length() - 1)
    reals = pipeline.process_reals(images, first.alpha, value_range=dataset.value_range)
    D.initialize_discrimination(reals, first.lod)
