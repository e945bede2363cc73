"""The configuration that the options of a run describe, before its dataset is opened."""

from __future__ import annotations

import os
from typing import Any

from pgtf import config as configs
from pgtf.api.options import TrainOptions
from pgtf.config import PRESETS, Config
from pgtf.dataset import NoDataset
from pgtf.dataset.sources import automatic
from pgtf.distribution.cluster import num_workers
from pgtf.metrics.plan import parse_plan
from pgtf.runs import run_folder
from pgtf.wording import meant

_AUGMENT = ("aug", "aug_p", "aug_target", "aug_kimg", "aug_interval")  # flags that are fields


def configured(options: TrainOptions) -> tuple[str, Config]:
    """Returns the name of the preset, and its configuration with the changes of the options.

    Raises:
        ValueError: for an unknown name, a value that does not fit, or two that contradict.
    """
    preset = options.preset
    if preset is None:
        replicas = (options.gpus or 1) * max(num_workers(), 1)
        preset = "demo" if options.dataset is None else configs.preset_for(replicas)
    stated = options.fields
    config = configs.named(preset, options.precision or stated.get("training.precision"))
    kinds = dict(configs.fields(config))
    changes = {
        name: configs.parse(name, value, kinds[name]) if isinstance(value, str) else value
        for name, value in stated.items()
    }
    shortcuts: dict[str, Any] = {
        "dataset.path": None if options.dataset is None else os.fspath(options.dataset),
        "dataset.resolution": options.resolution,
        "training.seed": options.seed,
        "training.total_kimg": options.total_kimg,
        "schedule.grad_accumulation": options.grad_accumulation,
        "training.precision": options.precision,
        "training.jit": options.jit,
        "training.freeze_D": options.freeze_D,
        **{f"augment.{name}": getattr(options, name) for name in _AUGMENT},
    }
    if options.minibatch is not None:
        shortcuts |= {"schedule.minibatch_base": options.minibatch}
        shortcuts |= {"schedule.minibatch_dict": {}}
        # The limits of the preset are those of its minibatches.
        changes = {"schedule.max_minibatch_per_gpu": {}} | changes
    for name, value in shortcuts.items():
        if value is not None and name in changes and changes[name] != value:
            raise ValueError(
                f"`--config.{name}` must agree with the short flag for it. Received: "
                f"{stated[name]!r} and {value!r}. Give one of them."
            )
        if value is not None:
            changes[name] = value
    return preset, config.replace(changes)


def holds_images(config: Config) -> bool:
    """True if the dataset's folder holds images in place of a dataset.

    Raises:
        OSError, ValueError: it holds neither, or cannot be read.
    """
    try:
        return automatic.is_source(config.dataset.path)
    except NoDataset as error:
        if error.datasets:
            raise ValueError(error.choose("--dataset=")) from None
        raise


def check_files(options: TrainOptions, config: Config) -> None:
    """Raises the errors of files that are missing or damaged, and of a misspelled metric."""
    if config.dataset != PRESETS["demo"].dataset:  # The demo dataset is drawn if it is missing.
        holds_images(config)
    if options.resume_pkl is not None and not os.path.exists(options.resume_pkl):
        remedy = meant(options.resume_pkl)
        raise FileNotFoundError(f"{options.resume_pkl}: no such file.{remedy}")
    if options.resume_pkl is not None and os.path.isdir(options.resume_pkl):
        raise IsADirectoryError(
            f"{options.resume_pkl}: Is a directory. `resume_pkl` must be a snapshot or a pickle."
        )
    if os.path.exists(options.outdir) and not os.path.isdir(options.outdir):
        raise NotADirectoryError(f"{options.outdir}: `outdir` must be a folder.")
    if options.transfer is not None:
        run_folder.network_file(options.outdir, os.fspath(options.transfer))
    if options.metrics is not None:
        parse_plan(options.metrics)
