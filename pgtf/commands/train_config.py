"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from pgtf import config as configs
from pgtf.commands import train_flags
from pgtf.commands.command_line import announce_tensorflow, one_line_errors
from pgtf.config import PRESETS, Config, catalogue
from pgtf.dataset import NoDataset
from pgtf.dataset.sources import automatic
from pgtf.distribution.cluster import num_workers
from pgtf.installation import command
from pgtf.metrics.plan import parse_plan


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags, answers what needs no TensorFlow, and returns the remaining arguments."""
    arguments = train_flags.parse(argv, (__doc__ or "").strip())
    with one_line_errors():
        check(arguments)
        if train_flags.LIST_PRESETS.value:
            print(catalogue.table())
            sys.exit(0)
        _, config = configured()
        _check_files(config)
    if not train_flags.DRY_RUN.value:
        announce_tensorflow()
    elif sys.stderr.isatty():  # Standard output stays easy to parse.
        announce_tensorflow(sys.stderr)
    return arguments


def check(arguments: Sequence[str]) -> None:
    """Raises ValueError if there are arguments that are no flags."""
    if len(arguments) > 1:
        received = " ".join(arguments[1:])
        remedy = f" Did you mean --dataset={received}?" if os.path.exists(received) else ""
        raise ValueError(f"{command('train')} takes only --flags. Received: {received}.{remedy}")


def configured() -> tuple[str, Config]:
    """Returns the name of the preset, and its configuration with the changes of the flags."""
    preset = train_flags.PRESET.value
    if preset is None:
        replicas = (train_flags.GPUS.value or 1) * max(num_workers(), 1)
        preset = "demo" if train_flags.DATASET.value is None else configs.preset_for(replicas)
    precision = train_flags.PRECISION.value or train_flags.FIELDS["training.precision"].value
    config = configs.named(preset, precision)
    kinds = dict(configs.fields(config))
    changes = {
        name: configs.parse(name, flag.value, kinds[name])
        for name, flag in train_flags.FIELDS.items()
        if flag.value is not None
    }
    shortcuts: dict[str, Any] = {
        "dataset.path": train_flags.DATASET.value,
        "dataset.resolution": train_flags.RESOLUTION.value,
        "training.seed": train_flags.SEED.value,
        "training.total_kimg": train_flags.TOTAL_KIMG.value,
        "schedule.grad_accumulation": train_flags.GRAD_ACCUMULATION.value,
        "training.precision": train_flags.PRECISION.value,
        "training.jit": train_flags.JIT.value,
    }
    if train_flags.MINIBATCH.value is not None:
        shortcuts |= {"schedule.minibatch_base": train_flags.MINIBATCH.value}
        shortcuts |= {"schedule.minibatch_dict": {}}
        # The limits of the preset are those of its minibatches.
        changes = {"schedule.max_minibatch_per_gpu": {}} | changes
    for name, value in shortcuts.items():
        if value is not None and name in changes and changes[name] != value:
            raise ValueError(
                f"`--config.{name}` must agree with the short flag for it. Received: "
                f"{train_flags.FIELDS[name].value!r} and {value!r}. Give one of them."
            )
        if value is not None:
            changes[name] = value
    return preset, config.replace(changes)


def states_resolution() -> bool:
    """True if a flag states the resolution: a preset's is meant for its own dataset."""
    flag = train_flags.FIELDS["dataset.resolution"].value
    return train_flags.RESOLUTION.value is not None or flag is not None


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


def _check_files(config: Config) -> None:
    """Raises the errors of files that are missing or damaged, and of a misspelled metric."""
    if config.dataset != PRESETS["demo"].dataset:  # The demo dataset is drawn if it is missing.
        holds_images(config)
    resume_pkl = train_flags.RESUME_PKL.value
    if resume_pkl is not None and not os.path.exists(resume_pkl):
        raise FileNotFoundError(f"{resume_pkl}: no such file.")
    if train_flags.METRICS.value is not None:
        parse_plan(train_flags.METRICS.value)
