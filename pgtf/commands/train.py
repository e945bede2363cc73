"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from pgtf.commands import train_config, train_flags, train_machine, train_run
from pgtf.commands.command_line import one_line_errors
from pgtf.config import Config, catalogue
from pgtf.dataset import Dataset
from pgtf.distribution import all_reduce_check
from pgtf.distribution.cluster import num_replicas
from pgtf.distribution.signals import Stopped, stopped_by_signals
from pgtf.distribution.strategy import describe_devices
from pgtf.distribution.workers import WorkerLost, Workers, lost_workers_reported
from pgtf.foreign.terminal import one_line
from pgtf.metrics import during_training
from pgtf.metrics.setup import MetricOptions
from pgtf.runs import continuation, lock, log
from pgtf.training import estimate, loop, precision, prepare
from pgtf.training.calls import Diverged
from pgtf.training.config import RunConfig
from pgtf.training.probe import probe
from pgtf.training.tables import cost_table, stage_table


def run(arguments: Sequence[str]) -> None:
    """Trains as the flags say; `arguments` holds the rest of the command line.

    Exits with a code that is not 0 after an error or a signal.
    """
    try:
        with lost_workers_reported(), stopped_by_signals():
            signum = _run(arguments)
    except WorkerLost as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(_exit_code(signal.SIGTERM))
    except Stopped as stop:
        print(f"Stopped at once, without a checkpoint. To continue: {_command()}", file=sys.stderr)
        sys.exit(_exit_code(stop.signum))
    if signum is not None:
        logging.info("Stopped. To continue: %s", _command())
        sys.exit(_exit_code(signum))


def _run(arguments: Sequence[str]) -> int | None:
    """Does what the flags ask for. Returns the number of a signal that ended it early, or None."""
    with one_line_errors():
        train_config.check(arguments)
    if train_flags.LIST_PRESETS.value:
        print(catalogue.table())
        return None
    with one_line_errors():
        preset, config = train_config.configured()
    if train_flags.DRY_RUN.value:
        _dry_run(preset, config)
        return None
    log.to_terminal()
    with one_line_errors():
        strategy = all_reduce_check.tested_strategy(
            train_flags.GPUS.value,
            train_flags.CPU_REPLICAS.value,
            train_flags.ALL_REDUCE_NAME.value,
        )
        precision.configure(config.training.precision)
    if train_flags.PROBE.value:
        _probe(config, strategy)
        return None
    return _train(preset, config, strategy)


def _dry_run(preset: str, config: Config) -> None:
    """Prints the configuration made for the dataset, and the stages."""
    with one_line_errors():
        replicas = num_replicas(train_flags.GPUS.value, train_flags.CPU_REPLICAS.value)
        planned = train_run.plan_images(config)
        if planned and not planned.is_made:
            planned_for = train_run.expected(config, planned, replicas)
            print(f"{planned_for.to_json()}\n{stage_table(planned_for)}")
            machine = train_run.machine(planned_for)
            found = train_machine.warnings(
                planned_for, machine, planned.num_images, train_flags.OUTDIR.value
            )
            _print_lines(
                f"Dataset: to be made: {planned}",
                f"Run: a new one in {os.path.realpath(train_flags.OUTDIR.value)}",
                *(f"Warning: {text}" for text in found),
                *estimate.lines(planned_for, machine.measured()),
            )
            return
        run = train_run.prepared(config, replicas)
        mirrored, lines = train_run.outlook(train_run.request(preset, run))
        made = run.config.replace({"dataset.mirror_augment": mirrored})
        report = f"{made.to_json()}\n{stage_table(made)}"
        mirror = prepare.describe_mirror(made, train_run.mirror_stated_by(preset), run.dataset)
    print(report)
    estimates = estimate.lines(made, train_run.machine(made).measured())
    _print_lines(mirror, *run.remarks, *lines, *estimates)


def _print_lines(*lines: str) -> None:
    """Prints what standard output, which stays easy to parse, is not for."""
    for line in lines:
        print(one_line(line), file=sys.stderr)


def _probe(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Prints the time and memory of every stage."""
    with one_line_errors():
        workers = Workers(strategy)
        made, dataset, *_ = train_run.prepared(config, strategy.num_replicas_in_sync, workers)
        prepare.check_workers(made, workers)
        costs = probe(made, dataset, strategy)
    print(describe_devices(strategy, config.training.precision), cost_table(costs), sep="\n")
    if errors := [cost.error for cost in costs if cost.error]:
        with one_line_errors():
            raise ValueError(errors[0])


def _train(preset: str, config: Config, strategy: tf.distribute.Strategy) -> int | None:
    """Trains in a run folder. Returns the number of the signal that ended it early, or None."""
    with one_line_errors():
        workers = Workers(strategy)
        run = train_run.prepared(config, strategy.num_replicas_in_sync, workers)
        prepare.check_workers(run.config, workers)
        asked = train_run.request(preset, run)
        made, dataset = prepare.with_stored_mirror(run.config, asked, workers), run.dataset
        measures = _measures(workers, made, dataset)
        asked = asked.with_config(made)
        opened = continuation.open_together(workers, lambda: continuation.open_run(asked))
    if opened.finished:
        for note in opened.notes:
            logging.info("%s", note)
        print(
            f"{one_line(opened.folder)} is finished. Train it longer with --total_kimg=N, or "
            "another with --new."
        )
        return None
    notes = [
        *opened.notes,
        f"{made.to_json()}\n{stage_table(made)}",
        prepare.describe_mirror(made, train_run.mirror_stated_by(preset), dataset),
        *run.remarks,
        describe_devices(strategy, made.training.precision),
    ]
    options = loop.RunOptions(
        start=run.start,
        preset=preset,
        measurements=[measure(opened.folder) for measure in measures],
        checkpoint_sec=train_flags.CHECKPOINT_MINUTES.value * 60,
        allow_config_change=asked.allow_change,
        on_divergence=train_flags.ON_DIVERGENCE.value,
        profile_steps=train_flags.PROFILE.value,
    )
    with one_line_errors((OSError, MemoryError, ValueError, Diverged)):
        with _logged(workers, opened.folder):
            for note in notes:
                logging.info("%s", note)
            return loop.run(made, dataset, strategy, opened.folder, options)


@contextlib.contextmanager
def _logged(workers: Workers, folder: Path) -> Iterator[None]:
    """Context manager in which the chief owns the run folder and logs into it."""
    if not workers.is_chief:
        yield
        return
    with lock.claimed(folder):
        log.to_file(folder / "log.txt")
        yield


def _command() -> str:
    """Returns the command line that continues this run."""
    again = [word for word in sys.argv if not re.fullmatch("--?new(=.*)?", word)]
    return shlex.join([sys.executable, *again])


def _exit_code(signum: int) -> int:
    code: int | None = train_flags.PREEMPT_EXIT_CODE.value
    return code if signum == signal.SIGTERM and code is not None else 128 + signum


def _measures(workers: Workers, config: RunConfig, dataset: Dataset) -> list[Any]:
    """Returns the measures of `--metrics` on the chief: none, or one function of the run folder."""
    options = MetricOptions(
        inception=train_flags.INCEPTION.value,
        inception_sha256=train_flags.INCEPTION_SHA256.value,
        fid_mode=train_flags.FID_MODE.value,
        classifier=train_flags.CLASSIFIER_FILE.value,
    )
    mirror = bool(config.dataset.mirror_augment)  # set by prepare
    return during_training.prepare_on_chief(
        workers, train_flags.METRICS.value, dataset, options, mirror
    )
