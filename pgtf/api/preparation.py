"""The run that options describe: its dataset, beginning, and folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from absl import logging

from pgtf.api import configuration
from pgtf.api.machine import machine_warnings
from pgtf.api.options import TrainOptions
from pgtf.config import FORMER_FIELDS, FORMER_VALUES, GPU_PRESETS, PRESETS, Config
from pgtf.dataset import Dataset
from pgtf.dataset.commands import print_summary
from pgtf.dataset.description import default_mirror
from pgtf.dataset.sources import automatic, demo
from pgtf.depth import Depth
from pgtf.distribution.workers import Workers
from pgtf.runs.choice import Request, choose
from pgtf.runs.identity import NEW_NETWORKS, Beginning
from pgtf.training import advice, held_out, prepare, transfers
from pgtf.training import start as starts
from pgtf.training.config import RunConfig


class Prepared(NamedTuple):
    """Inputs of a run that are made before its folder is chosen."""

    config: RunConfig  # made for the dataset and the replicas
    dataset: Dataset
    start: starts.Start | None  # networks to begin with, None = new ones
    remarks: Sequence[str]  # lines for the user: first networks, warnings
    beginning: Beginning = NEW_NETWORKS  # file of `start`


def prepared(
    options: TrainOptions, config: Config, replicas: int, workers: Workers | None = None
) -> Prepared:
    """Opens dataset and networks as the options say. Draws the demo dataset first if it is missing.

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
    elif configuration.holds_images(config):
        made_path = _made_of_images(options, config, workers)
        config = config.replace({"dataset.path": made_path})
        remarks.append(f"Dataset: {made_path}, made of the images in {path}.")
    asked = _asked_networks(options, config)
    made, dataset = prepare.prepare(
        asked.config,
        replicas,
        asked.start,
        # A preset's resolution is meant for its own dataset; another one may lack finer levels.
        may_shrink=not options.states_resolution,
        fit_schedule=options.fit_schedule,
    )
    Depth.of(dataset).check_preview()
    if asked.start is not None:
        starts.check_stated(config, options.fields, made, asked.path)
    start, lines = _filled(options, config, asked, made, dataset.label_names)
    remarks += lines
    if (kept_apart := held_out.split(dataset, made).line) is not None:
        remarks.append(kept_apart)
    found = advice.warnings(made, dataset)
    found += machine_warnings(options, made, dataset.num_images, dataset)
    remarks += [f"Warning: {text}" for text in found]
    beginning = NEW_NETWORKS if start is None else Beginning.of(asked.path, start.nimg)
    return Prepared(made, dataset, start, remarks, beginning)


class _Asked(NamedTuple):
    """Networks of a file that options ask for."""

    config: Config  # with the options of networks to transfer
    start: starts.Start | None = None  # networks of --resume_pkl
    source: transfers.Source | None = None  # networks of --transfer
    path: str = ""  # file
    lines: tuple[str, ...] = ()  # for the user


def _asked_networks(options: TrainOptions, config: Config) -> _Asked:
    """Reads the networks that options ask for.

    Raises:
        OSError, ValueError: if they cannot be read, or options exclude each other.
    """
    file, kimg = options.resume_pkl, options.resume_kimg
    if options.transfer is not None:
        if file is not None:
            raise ValueError("`--transfer` and --resume_pkl exclude each other. Give one of them.")
        source = transfers.load(os.fspath(options.transfer), os.fspath(options.outdir))
        with_theirs = cast(Config, transfers.with_networks(config, source))
        found = _Asked(with_theirs, source=source, path=source.path)
    elif config.training.freeze_D:
        raise ValueError(
            f"`--freeze_D` needs --transfer. Received: freeze_D={config.training.freeze_D}."
        )
    else:
        found = _Asked(config)
    if file is not None:
        start, line = starts.load(os.fspath(file), kimg)
        starts.check_length(start, config.training.total_kimg)
        return found._replace(start=start, path=os.fspath(file), lines=(line,))
    if kimg is not None:
        raise ValueError(f"`--resume_kimg` needs --resume_pkl. Received: resume_kimg={kimg:g}.")
    return found


def _filled(
    options: TrainOptions,
    config: Config,
    asked: _Asked,
    made: RunConfig,
    label_names: Sequence[str],
) -> tuple[starts.Start | None, list[str]]:
    """Fills the networks of a run with those asked for. Returns them, and lines about them.

    Raises:
        ValueError: if they do not fit, or are not those that other options state.
    """
    if asked.source is None:
        return asked.start, [*asked.lines]
    starts.check_stated(config, options.fields, made, asked.path, "--transfer")
    start, taken = transfers.begin(asked.source, made, label_names)
    starts.check_length(start, made.training.total_kimg, "the beginning of --transfer")
    return start, taken


def plan_images(options: TrainOptions, config: Config) -> automatic.Plan | None:
    """Plans the dataset that the images in the dataset's place become; None if it is one."""
    if config.dataset == PRESETS["demo"].dataset or not configuration.holds_images(config):
        return None
    stated = options.states_resolution
    return automatic.plan(config.dataset.path, config.dataset.resolution if stated else None)


def expected(
    options: TrainOptions, config: Config, planned: automatic.Plan, replicas: int
) -> tuple[Config, list[str]]:
    """Makes a configuration for a dataset that does not exist yet. Returns it, and remarks.

    Raises:
        OSError, ValueError: if something cannot be opened, or will not fit.
    """
    asked, images = _asked_networks(options, config), planned.images
    side, channels = images.resolution or 0, images.channels or 0
    wanted = config.dataset.resolution or side
    made = asked.config.replace(
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
    _, remarks = _filled(options, config, asked, made, ())
    num_images = planned.num_files - len(planned.rejected)
    if (kept_apart := held_out.outlook(planned.target, num_images, made)) is not None:
        remarks.append(kept_apart)
    remarks += [f"Warning: {x}" for x in machine_warnings(options, made, planned.num_files)]
    return made, remarks


def _made_of_images(options: TrainOptions, config: Config, workers: Workers | None) -> str:
    """Makes a dataset of images unless it exists. Returns its path."""

    def make() -> bytes:
        planned = plan_images(options, config)
        if planned is None:  # Somebody has made a dataset in the folder meanwhile.
            return os.fsencode(config.dataset.path)
        if not planned.is_made:
            logging.info("Making the dataset %s.", planned)
            if summary := automatic.make(planned):
                print_summary(summary)
        return os.fsencode(planned.target)

    return os.fsdecode(make() if workers is None else workers.broadcast(make))


def request(options: TrainOptions, preset: str, run: Prepared) -> Request:
    """Describes the run that the options ask for.

    Args:
        options: options of the run.
        preset: name of the preset.
        run: result of `prepared`.
    """
    is_chosen = options.preset is None and preset in GPU_PRESETS
    return Request.of(
        options.outdir,
        preset,
        run.config,
        run.dataset,
        beginning=run.beginning,
        mirror_is_default=mirror_stated_by(options, preset) is None,
        former=_former_fields(options, preset),
        siblings=GPU_PRESETS if is_chosen else (),
        new=options.new,
        allow_change=options.allow_config_change,
    )


def _former_fields(options: TrainOptions, preset: str) -> list[dict[str, Any]]:
    """Returns the values of earlier versions for fields that the options leave open."""
    versions = FORMER_FIELDS.get(preset, ())
    if options.fit_schedule:  # The phases follow from the length.
        versions = ()
    stated = [*options.fields]
    if options.minibatch is not None:
        stated += ["schedule.minibatch_base", "schedule.minibatch_dict"]
    return [
        {field: x for field, x in (FORMER_VALUES | version).items() if field not in stated}
        for version in ({}, *versions)
    ]


def mirror_stated_by(options: TrainOptions, preset: str) -> str | None:
    """Returns the preset or flag that states mirror_augment; None = the dataset's default."""
    field = "dataset.mirror_augment"
    if options.states(field):
        is_none = str(options.fields[field]).lower() == "none"
        return None if is_none else f"--config.{field}"
    return f"preset {preset}" if PRESETS[preset].dataset.mirror_augment is not None else None


def outlook(asked: Request) -> tuple[RunConfig, list[str]]:
    """Says what a command would do. Returns the configuration to train with, and lines."""
    try:
        choice = choose(asked)
    except ValueError as error:
        return cast(RunConfig, asked.identity.config), [f"Run: refused as it stands: {error}"]
    if choice.folder is None:
        line = f"Run: a new one in {os.path.realpath(asked.outdir)}"
    elif choice.finished:
        line = f"Run: {choice.folder} is finished"
    else:
        line = f"Run: continues {choice.folder}"
    return cast(RunConfig, choice.config), [line, *choice.notes]
