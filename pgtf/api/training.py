"""Trains as options say: the one way that train.py and `pgtf.train` share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import tensorflow as tf
from absl import logging

from pgtf.api import preparation
from pgtf.api.configuration import configured
from pgtf.api.options import TrainOptions
from pgtf.config import Config
from pgtf.dataset import Dataset
from pgtf.distribution import all_reduce_check
from pgtf.distribution.strategy import describe_devices
from pgtf.distribution.workers import Workers
from pgtf.metrics import during_training, watching
from pgtf.metrics.setup import MetricOptions
from pgtf.runs import continuation, lock, log
from pgtf.training import loop, precision, prepare, watch
from pgtf.training.callbacks import Callback
from pgtf.training.config import RunConfig
from pgtf.training.progress import Display
from pgtf.training.tables import stage_table


class Outcome(NamedTuple):
    """The end of a call of `run`."""

    folder: Path
    nothing_left: bool  # the run was finished before
    signum: int | None  # the signal that ended it early


class Observer(Protocol):
    """Shows a run to its user and takes part in it."""

    @property
    def display(self) -> Display | None:
        """Shows progress; None = a bar on terminals."""

    @property
    def callbacks(self) -> Sequence[Callback]:
        """Functions that are called at the end of each tick."""

    def begin(self, folder: Path, config: RunConfig, notes: Sequence[str]) -> None:
        """Is called before the first iteration, with lines about the run."""


class NoObserver:
    """Lets the log say everything, as train.py does."""

    display: Display | None = None
    callbacks: Sequence[Callback] = ()

    def begin(self, folder: Path, config: RunConfig, notes: Sequence[str]) -> None:
        """Does nothing."""


def make_strategy(options: TrainOptions, config: Config) -> tf.distribute.Strategy:
    """Makes the strategy of the devices, and sets the precision in which they compute."""
    strategy = all_reduce_check.tested_strategy(
        options.gpus, options.cpu_replicas, options.all_reduce
    )
    precision.configure(config.training.precision)
    return strategy


def run(options: TrainOptions, observer: Observer | None = None) -> Outcome:
    """Trains in a run folder: a new one, or that of the run that the options mean.

    Raises:
        Diverged: see `loop.run`.
        MemoryError: if a stage does not fit into the memory of the device.
        OSError: if a file cannot be opened, read or written.
        ValueError: if something does not fit, or the run is refused (`runs.choice.choose`).
    """
    observer = observer or NoObserver()
    preset, config = configured(options)
    strategy = make_strategy(options, config)
    workers = Workers(strategy)
    ready = preparation.prepared(options, config, strategy.num_replicas_in_sync, workers)
    prepare.check_workers(ready.config, workers)
    asked = preparation.request(options, preset, ready)
    made = prepare.with_stored_defaults(ready.config, asked, workers)
    measures = _measures(options, workers, made, ready.dataset)
    asked = asked.with_config(made)
    opened = continuation.open_together(workers, lambda: continuation.open_run(asked))
    if opened.finished:
        for note in opened.notes:
            logging.info("%s", note)
        return Outcome(opened.folder, True, None)
    stated_by = preparation.mirror_stated_by(options, preset)
    notes = [
        *opened.notes,
        f"{made.to_json()}\n{stage_table(made)}",
        prepare.describe_mirror(made, stated_by, ready.dataset),
        *ready.remarks,
        describe_devices(strategy, made.training.precision),
    ]
    if advice := precision.advice(made.training.precision):
        notes.append(advice)
    loop_options = loop.RunOptions(
        start=ready.start,
        callbacks=observer.callbacks,
        preset=preset,
        measurements=[measure(opened.folder) for measure in measures],
        checkpoint_sec=options.checkpoint_minutes * 60,
        allow_config_change=options.allow_config_change,
        on_divergence=options.on_divergence,
        profile_steps=options.profile,
        display=observer.display,
        watch=watch.Measures(watching.similarity, watching.distance_to),
    )
    with _logged(workers, opened.folder):
        for note in notes:
            logging.info("%s", note)
        observer.begin(opened.folder, made, [*opened.notes, *ready.remarks])
        signum = loop.run(made, ready.dataset, strategy, opened.folder, loop_options)
    return Outcome(opened.folder, False, signum)


@contextlib.contextmanager
def _logged(workers: Workers, folder: Path) -> Iterator[None]:
    """Context manager in which the chief owns the run folder and logs into it."""
    if not workers.is_chief:
        yield
        return
    with lock.claimed(folder):
        log.to_file(folder / "log.txt")
        yield


def _measures(
    options: TrainOptions, workers: Workers, config: RunConfig, dataset: Dataset
) -> list[during_training.Prepared]:
    """Returns the measures of `metrics` on the chief: none, or one function of the run folder."""
    settings = MetricOptions(
        inception=options.inception,
        inception_sha256=options.inception_sha256,
        fid_mode=options.fid_mode,
        classifier=options.classifier,
    )
    mirror = bool(config.dataset.mirror_augment)  # set by prepare
    return during_training.prepare_on_chief(workers, options.metrics, dataset, settings, mirror)
