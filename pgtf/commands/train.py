"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8

Without flags it trains the demo preset on the demo dataset, which it draws first. The same command
again continues an unfinished run.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence

from absl import logging

from pgtf.api import preparation, training
from pgtf.api.configuration import configured
from pgtf.api.machine import machine
from pgtf.api.options import TrainOptions
from pgtf.commands import train_config, train_flags
from pgtf.commands.command_line import one_line_errors
from pgtf.config import catalogue
from pgtf.distribution.cluster import num_replicas
from pgtf.distribution.signals import Stopped, stopped_by_signals
from pgtf.distribution.strategy import describe_devices
from pgtf.distribution.workers import WorkerLost, Workers, lost_workers_reported
from pgtf.foreign.terminal import one_line
from pgtf.installation import words_typed
from pgtf.runs import log
from pgtf.training import estimate, precision, prepare
from pgtf.training.calls import Diverged
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
    options = train_config.options()
    if train_flags.DRY_RUN.value:
        _dry_run(options)
        return None
    log.to_terminal()
    if train_flags.PROBE.value:
        _probe(options)
        return None
    with one_line_errors((OSError, MemoryError, ValueError, Diverged)):
        outcome = training.run(options)
    if outcome.nothing_left:
        print(
            f"{one_line(outcome.folder)} is finished. Train it longer with --total_kimg=N, or "
            "another with --new."
        )
    return outcome.signum


def _dry_run(options: TrainOptions) -> None:
    """Prints the configuration made for the dataset, and the stages."""
    with one_line_errors():
        preset, config = configured(options)
        replicas = num_replicas(options.gpus, options.cpu_replicas)
        planned = preparation.plan_images(options, config)
        if planned and not planned.is_made:
            planned_for, remarks = preparation.expected(options, config, planned, replicas)
            print(f"{planned_for.to_json()}\n{stage_table(planned_for)}")
            _print_lines(
                f"Dataset: to be made: {planned}",
                f"Run: a new one in {os.path.realpath(options.outdir)}",
                *remarks,
                *estimate.lines(planned_for, machine(options, planned_for)),
            )
            return
        run = preparation.prepared(options, config, replicas)
        made, lines = preparation.outlook(preparation.request(options, preset, run))
        report = f"{made.to_json()}\n{stage_table(made)}"
        stated_by = preparation.mirror_stated_by(options, preset)
        mirror = prepare.describe_mirror(made, stated_by, run.dataset)
    print(report)
    estimated = estimate.lines(made, machine(options, made))
    advice = precision.advice(made.training.precision)
    _print_lines(mirror, *run.remarks, *lines, *estimated, *filter(None, [advice]))


def _print_lines(*lines: str) -> None:
    """Prints what standard output, which stays easy to parse, is not for."""
    for line in lines:
        print(one_line(line), file=sys.stderr)


def _probe(options: TrainOptions) -> None:
    """Prints the time and memory of every stage."""
    with one_line_errors():
        _, config = configured(options)
        strategy = training.make_strategy(options, config)
        workers = Workers(strategy)
        replicas = strategy.num_replicas_in_sync
        made, dataset, *_ = preparation.prepared(options, config, replicas, workers)
        prepare.check_workers(made, workers)
        costs = probe(made, dataset, strategy)
    print(describe_devices(strategy, config.training.precision), cost_table(costs), sep="\n")
    if errors := [cost.error for cost in costs if cost.error]:
        with one_line_errors():
            raise ValueError(errors[0])


def _command() -> str:
    """Returns the command line that continues this run."""
    words = words_typed(sys.executable)
    return shlex.join(word for word in words if not re.fullmatch("--?new(=.*)?", word))


def _exit_code(signum: int) -> int:
    code: int | None = train_flags.PREEMPT_EXIT_CODE.value
    return code if signum == signal.SIGTERM and code is not None else 128 + signum
