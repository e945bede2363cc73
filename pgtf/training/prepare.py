"""What a run begins with: the dataset, a configuration that fits it, networks of a file."""

import dataclasses
import json

from pgtf import interop
from pgtf.dataset import open_dataset
from pgtf.runs import run_folder


def fit(config, replicas, resume_pkl=None, resume_kimg=0.0, may_shrink=False):
    """Opens what a configuration names.

    Args:
        config: the whole configuration.
        replicas: how many share a minibatch.
        resume_pkl: pickle or snapshot whose networks the run begins with, or None.
        resume_kimg: thousands of images that these have seen.
        may_shrink: whether a dataset without the configured resolution is used at its own.

    Returns:
        The configuration fitted to dataset and replicas, the Dataset, and what `loop.run` takes as
        `start`: (G, D, Gs, nimg) or None.

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
        config = dataclasses.replace(config, G=G.config, D=D.config)
        start = (G, D, Gs, round(resume_kimg * 1000))
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    fitted = config.for_dataset(*shape, replicas, mirror=dataset.mirror)
    # Depends on the precision, not on the dataset.
    config = config.replace({"G.pixelnorm_epsilon": fitted.G.pixelnorm_epsilon})
    if start is not None and (fitted.G, fitted.D) != (config.G, config.D):
        raise ValueError(
            f"`--resume_pkl` must hold networks for {dataset.path}. Received: "
            f"{'; '.join(line for line in config.differences(fitted) if line[:2] in 'G.D.')}."
        )
    fitted.check()
    return fitted, dataset, start


def check_workers(config, workers):
    """Raises ValueError on every worker unless all have the same configuration."""
    chiefs = type(config).from_json(workers.from_chief(lambda: config.to_json().encode()))
    differences = chiefs.differences(config)
    if workers.total([len(differences)])[0]:
        here = "; ".join(differences) or "that of the chief"
        raise ValueError(f"the configuration must be the same on all workers. Received: {here}.")


def as_begun(asked, workers, outdir, preset, config, dataset, **options):
    """Takes mirror_augment from the run that will continue, unless preset or flags state it.

    A run keeps the value it began with, even if the dataset's default was another one then.

    Args:
        asked: mirror_augment of preset and flags, None = the dataset's default.
        workers: pgtf.distribution.workers.Workers; all of them take the chief's value.
        outdir, preset, config, dataset: as for `run_folder.open_run`.
        options: further arguments of `run_folder.open_run`.

    Returns:
        The configuration to train with.
    """

    def on_chief():
        begun = config
        if asked is None:
            run = (outdir, preset, config, dataset)
            begun = run_folder.with_mirror_of_run(*run, **options)
        return json.dumps(begun.dataset.mirror_augment).encode()

    return config.replace({"dataset.mirror_augment": json.loads(workers.from_chief(on_chief))})


def describe_mirror(config, stated_by, dataset):
    """Says in one line if reals are mirrored, and why.

    Args:
        config: configuration to train with.
        stated_by: preset or flag that states mirror_augment, None = the dataset's default.
        dataset: opened Dataset.
    """
    words = {True: "on", False: "off"}
    value = config.dataset.mirror_augment
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
