"""What a run begins with: the dataset, a configuration that fits it, networks of a file."""

import dataclasses

from pgtf import interop
from pgtf.dataset import open_dataset
from pgtf.training import loop


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
    fitted = config.fitted(*shape, replicas)
    # Depends on the precision, not on the dataset.
    config = config.replace({"G.pixelnorm_epsilon": fitted.G.pixelnorm_epsilon})
    if start is not None and (fitted.G, fitted.D) != (config.G, config.D):
        raise ValueError(
            f"`--resume_pkl` must hold networks for {dataset.path}. Received: "
            f"{'; '.join(line for line in config.differences(fitted) if line[:2] in 'G.D.')}."
        )
    loop.check(fitted)
    return fitted, dataset, start


def check_workers(config, workers):
    """Raises ValueError on every worker unless all have the same configuration."""
    chiefs = type(config).from_json(workers.from_chief(lambda: config.to_json().encode()))
    differences = chiefs.differences(config)
    if workers.total([len(differences)])[0]:
        here = "; ".join(differences) or "that of the chief"
        raise ValueError(f"the configuration must be the same on all workers. Received: {here}.")
