"""The run that the flags of train.py describe: its configuration, beginning, and folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from pgtf.commands import train_config, train_flags, train_machine
from pgtf.config import GPU_PRESETS, PRESETS, Config
from pgtf.dataset import Dataset
from pgtf.dataset.commands import print_summary
from pgtf.dataset.description import default_mirror
from pgtf.dataset.sources import automatic, demo
from pgtf.distribution.workers import Workers
from pgtf.runs.choice import Request, choose
from pgtf.runs.identity import NEW_NETWORKS, Beginning
from pgtf.training import advice, prepare
from pgtf.training import start as starts
from pgtf.training.config import RunConfig


class Prepared(NamedTuple):
    """Inputs of a run that are made before its folder is chosen."""

    config: RunConfig  # made for the dataset and the replicas
    dataset: Dataset
    start: starts.Start | None  # networks to begin with, None = new ones
    remarks: Sequence[str]  # lines for the user: first networks, warnings


def prepared(config: Config, replicas: int, workers: Workers | None = None) -> Prepared:
    """Opens dataset and networks as the flags say. Draws the demo dataset first if it is missing.

    Raises:
        OSError, ValueError: if something cannot be opened, or does not fit.
    """
    path = config.dataset.path

    def create_demo() -> bytes:
        if not os.path.exists(path):
            demo.create(path)
        return b""

    remarks: list[str] = []
    if config.dataset == PRESETS["demo"].dataset:
        create_demo() if workers is None else workers.broadcast(create_demo)
    elif train_config.holds_images(config):
        made_path = _made_of_images(config, workers)
        config = config.replace({"dataset.path": made_path})
        remarks.append(f"Dataset: {made_path}, made of the images in {path}.")
    file, kimg = train_flags.RESUME_PKL.value, train_flags.RESUME_KIMG.value
    start = None
    if file is not None:
        start, line = starts.load(file, kimg)
        starts.check_length(start, config.training.total_kimg)
        remarks.append(line)
    elif kimg is not None:
        raise ValueError(f"`--resume_kimg` needs --resume_pkl. Received: resume_kimg={kimg:g}.")
    made, dataset = prepare.prepare(
        config,
        replicas,
        start,
        # A preset's resolution is meant for its own dataset; another one may lack finer levels.
        may_shrink=not train_config.states_resolution(),
        fit_schedule=train_flags.FIT_SCHEDULE.value,
    )
    if file is not None:
        stated = [name for name, flag in train_flags.FIELDS.items() if flag.value is not None]
        starts.check_stated(config, stated, made, file)
    found = advice.warnings(made, dataset)
    found += train_machine.warnings(
        made, machine(made), dataset.num_images, train_flags.OUTDIR.value, dataset
    )
    remarks += [f"Warning: {text}" for text in found]
    return Prepared(made, dataset, start, remarks)


def machine(config: RunConfig) -> train_machine.Choice:
    """Describes the machine that the flags choose."""
    return train_machine.Choice(
        config.training.precision, train_flags.GPUS.value, train_flags.CPU_REPLICAS.value
    )


def plan_images(config: Config) -> automatic.Plan | None:
    """Plans the dataset that the images in the dataset's place become; None if it is one."""
    if config.dataset == PRESETS["demo"].dataset or not train_config.holds_images(config):
        return None
    stated = train_config.states_resolution()
    return automatic.plan(config.dataset.path, config.dataset.resolution if stated else None)


def expected(config: Config, planned: automatic.Plan, replicas: int) -> Config:
    """Makes a configuration for a dataset that does not exist yet."""
    images = planned.images
    side, channels = images.resolution or 0, images.channels or 0
    wanted = config.dataset.resolution or side
    made = config.replace(
        {
            "dataset.path": planned.target,
            "dataset.resolution": config.dataset.resolution if wanted <= side else None,
        }
    ).for_dataset(
        min(wanted, side).bit_length() - 1,
        channels,
        0,
        replicas,
        mirror=default_mirror([os.path.basename(planned.target)], {}),
    )
    made.check()
    return made


def _made_of_images(config: Config, workers: Workers | None) -> str:
    """Makes a dataset of images unless it exists. Returns its path."""

    def make() -> bytes:
        planned = plan_images(config)
        if planned is None:  # Somebody has made a dataset in the folder meanwhile.
            return os.fsencode(config.dataset.path)
        if not planned.is_made:
            logging.info("Making the dataset %s.", planned)
            if summary := automatic.make(planned):
                print_summary(summary)
        return os.fsencode(planned.target)

    return os.fsdecode(make() if workers is None else workers.broadcast(make))


def request(preset: str, run: Prepared) -> Request:
    """Describes the run that the flags ask for.

    Args:
        preset: name of the preset.
        run: result of `prepared`.
    """
    file, beginning = train_flags.RESUME_PKL.value, NEW_NETWORKS
    if run.start is not None and file is not None:
        beginning = Beginning.of(file, run.start.nimg)
    is_chosen = train_flags.PRESET.value is None and preset in GPU_PRESETS
    return Request.of(
        train_flags.OUTDIR.value,
        preset,
        run.config,
        run.dataset,
        beginning=beginning,
        mirror_is_default=mirror_stated_by(preset) is None,
        siblings=GPU_PRESETS if is_chosen else (),
        new=train_flags.NEW.value,
        allow_change=train_flags.ALLOW_CONFIG_CHANGE.value,
    )


def mirror_stated_by(preset: str) -> str | None:
    """Returns the preset or flag that states mirror_augment; None = the dataset's default."""
    flag = train_flags.FIELDS["dataset.mirror_augment"].value
    if flag is not None and flag.lower() != "none":
        return "--config.dataset.mirror_augment"
    if flag is None and PRESETS[preset].dataset.mirror_augment is not None:
        return f"preset {preset}"
    return None


def outlook(asked: Request) -> tuple[bool | None, list[str]]:
    """Says what a command would do. Returns the mirror_augment to train with, and lines."""
    try:
        choice = choose(asked)
    except ValueError as error:
        mirror = asked.identity.config.dataset.mirror_augment
        return mirror, [f"Run: refused as it stands: {error}"]
    if choice.folder is None:
        line = f"Run: a new one in {os.path.realpath(asked.outdir)}"
    elif choice.finished:
        line = f"Run: {choice.folder} is finished"
    else:
        line = f"Run: continues {choice.folder}"
    return choice.config.dataset.mirror_augment, [line, *choice.notes]
