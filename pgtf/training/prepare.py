"""Preparation of a run: the dataset, and a configuration made for it and for given networks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pgtf.dataset import Dataset, open_dataset
from pgtf.distribution.workers import Workers
from pgtf.runs.choice import Request, choose
from pgtf.training.config import RunConfig
from pgtf.training.start import Start


def prepare(
    config: RunConfig,
    replicas: int,
    start: Start | None = None,
    may_shrink: bool = False,
    fit_schedule: bool = False,
) -> tuple[RunConfig, Dataset]:
    """Opens the dataset that a configuration names, and makes the configuration fit.

    Args:
        config: whole configuration.
        replicas: number of replicas that share a minibatch.
        start: networks that the run begins with, whose options replace those in `config`; None =
            new ones.
        may_shrink: use a dataset that lacks the configured resolution at its own.
        fit_schedule: scale the phases of the schedule to the length: `Schedule.fitted`.

    Returns:
        The configuration made for the dataset and the replicas, and the dataset.

    Raises:
        OSError, ValueError: if something cannot be opened, or does not fit.
    """
    options = config.dataset
    if options.resolution and may_shrink:
        if open_dataset(options.path, max_label_size=0).resolution < options.resolution:
            config = config.replace({"dataset.resolution": None})
            options = config.dataset
    dataset = open_dataset(
        options.path, resolution=options.resolution, max_label_size=options.max_label_size
    )
    if config.loss.label_kinds == "class":
        dataset = dataset.as_one_class()
    if config.dataset.strict_uint8_fade and dataset.dtype != np.uint8:
        raise ValueError(
            "`strict_uint8_fade` is for datasets of uint8. "
            f"Received: {dataset.path} of {dataset.dtype.name}."
        )
    if start is not None:
        config = config.replace(_fields("G", start.G.config) | _fields("D", start.D.config))
    fitted = config.for_dataset(
        dataset.resolution_log2,
        dataset.num_channels,
        dataset.label_size,
        replicas,
        mirror=dataset.mirror,
        grid=str(dataset.grid),
    )
    # The epsilon depends on the precision, not on the dataset.
    config = config.replace({"G.pixelnorm_epsilon": fitted.G.pixelnorm_epsilon})
    if start is not None and (fitted.G, fitted.D) != (config.G, config.D):
        raise ValueError(
            f"`--resume_pkl` must hold networks for {dataset.path}. Received: {start.path} with "
            f"{'; '.join(x for x in config.differences(fitted) if x.startswith(('G.', 'D.')))}."
        )
    if fit_schedule:
        schedule = fitted.schedule.fitted(fitted.training.total_kimg)
        fitted = fitted.replace(_fields("schedule", schedule))
    fitted.check()
    return fitted, dataset


def check_workers(config: RunConfig, workers: Workers) -> None:
    """Raises ValueError on every worker unless all have the same configuration."""
    chiefs = type(config).from_json(workers.broadcast(lambda: config.to_json().encode()).decode())
    differences = chiefs.differences(config)
    if workers.all_reduce_sum([len(differences)])[0]:
        here = "; ".join(differences) or "that of the chief"
        raise ValueError(f"the configuration must be the same on all workers. Received: {here}.")


def with_stored_defaults(config: RunConfig, request: Request, workers: Workers) -> RunConfig:
    """Returns the configuration of a request, with defaults of the run it continues.

    A run keeps the mirror_augment, and the fields of a preset of an earlier version, that it began
    with, unless flags state them. All workers take the chief's values.

    Raises:
        ValueError: if `choose` refuses the request.
    """

    def on_chief() -> bytes:
        return choose(request).config.to_json().encode()

    chosen: RunConfig = type(config).from_json(workers.broadcast(on_chief))
    return chosen


def describe_mirror(config: RunConfig, stated_by: str | None, dataset: Dataset) -> str:
    """Returns one line: the state of mirror augmentation, and the reason for it.

    Args:
        config: configuration to train with.
        stated_by: preset or flag that states mirror_augment, None = the dataset's default.
        dataset: opened dataset.
    """
    words = {True: "on", False: "off"}
    value = bool(config.dataset.mirror_augment)
    if stated_by is not None:
        reason = f"stated by {stated_by}"
    elif value == dataset.mirror:
        reason = dataset.mirror_source
    else:
        reason = (
            f"as this run began; {words[dataset.mirror]} is {dataset.mirror_source}. Start another "
            "run with --new, or change this one with --allow_config_change "
            f"--config.dataset.mirror_augment={str(dataset.mirror).lower()}"
        )
    return f"Mirror augmentation: {words[value]} ({reason})"


def _fields(group: str, options: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass by dotted name."""
    return {f"{group}.{name}": value for name, value in dataclasses.asdict(options).items()}
