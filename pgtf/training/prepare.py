"""Preparation of a run: the dataset, a configuration made for it, networks read from a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from pgtf import interop
from pgtf.dataset import Dataset, open_dataset
from pgtf.distribution.workers import Workers
from pgtf.networks import Discriminator, Generator
from pgtf.runs import continuation
from pgtf.training.config import RunConfig

Start = tuple[Generator, Discriminator, Generator, int]  # G, D, Gs, nimg


def prepare(
    config: RunConfig,
    replicas: int,
    resume_pkl: str | None = None,
    resume_kimg: float = 0.0,
    may_shrink: bool = False,
) -> tuple[RunConfig, Dataset, Start | None]:
    """Opens the dataset and the networks that a configuration names, and checks that they fit.

    Args:
        config: whole configuration.
        replicas: number of replicas that share a minibatch.
        resume_pkl: pickle or snapshot whose networks the run begins with, or None.
        resume_kimg: thousands of images that these networks have seen.
        may_shrink: use a dataset that lacks the configured resolution at its own.

    Returns:
        The configuration made for the dataset and the replicas, the dataset, and the networks to
        begin with, which `loop.RunOptions` takes as `start`.

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
    start = None
    if resume_pkl is not None:
        is_snapshot = resume_pkl.endswith(".h5")
        G, D, Gs = (interop.load_snapshot if is_snapshot else interop.load_pkl)(resume_pkl)
        config = config.replace(_fields("G", G.config) | _fields("D", D.config))
        start = (G, D, Gs, round(resume_kimg * 1000))
    fitted = config.for_dataset(
        dataset.resolution_log2,
        dataset.num_channels,
        dataset.label_size,
        replicas,
        mirror=dataset.mirror,
    )
    # The epsilon depends on the precision, not on the dataset.
    config = config.replace({"G.pixelnorm_epsilon": fitted.G.pixelnorm_epsilon})
    if start is not None and (fitted.G, fitted.D) != (config.G, config.D):
        raise ValueError(
            f"`--resume_pkl` must hold networks for {dataset.path}. Received: "
            f"{'; '.join(line for line in config.differences(fitted) if line[:2] in 'G.D.')}."
        )
    fitted.check()
    return fitted, dataset, start


def check_workers(config: RunConfig, workers: Workers) -> None:
    """Raises ValueError on every worker unless all have the same configuration."""
    chiefs = type(config).from_json(workers.broadcast(lambda: config.to_json().encode()).decode())
    differences = chiefs.differences(config)
    if workers.all_reduce_sum([len(differences)])[0]:
        here = "; ".join(differences) or "that of the chief"
        raise ValueError(f"the configuration must be the same on all workers. Received: {here}.")


def with_stored_mirror(
    asked: bool | None,
    workers: Workers,
    outdir: str | Path,
    preset: str,
    config: RunConfig,
    dataset: Dataset,
    *,
    new: bool = False,
    allow_change: bool = False,
) -> RunConfig:
    """Takes mirror_augment from the run that will continue, unless preset or flags state it.

    A run keeps the value it began with, even if the dataset's default has changed since.

    Args:
        asked: mirror_augment of preset and flags, None = the dataset's default.
        workers: workers of the run; all of them take the chief's value.
        outdir, preset, config, dataset, new, allow_change: as for `continuation.open_run`.

    Returns:
        The configuration to train with.
    """

    def on_chief() -> bytes:
        value = config.dataset.mirror_augment
        if asked is None:
            begun = continuation.with_mirror_of_run(
                outdir, preset, config, dataset, new, allow_change
            )
            value = begun.dataset.mirror_augment
        return json.dumps(value).encode()

    return config.replace({"dataset.mirror_augment": json.loads(workers.broadcast(on_chief))})


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
