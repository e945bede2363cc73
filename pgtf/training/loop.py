"""The training loop: plan, step, tick, until all images are shown. Paper, App. A.1."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tensorflow as tf
from absl import logging

from pgtf.dataset import Dataset
from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.workers import Workers
from pgtf.networks import Discriminator, Generator
from pgtf.runs import run_folder
from pgtf.runs.checkpoints import Checkpoints
from pgtf.runs.identity import Source
from pgtf.schedule import ScheduleState
from pgtf.training import callbacks, plan, ticks
from pgtf.training.callbacks import Callback
from pgtf.training.config import RunConfig, TrainingConfig
from pgtf.training.initialization import initialize_discrimination
from pgtf.training.measuring import Measurement, Measurements
from pgtf.training.profiler import Steps, profiled
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

MAX_ROLLBACKS = 3  # to one checkpoint
ROLLBACK_SEEDS = 1_000_003  # distance of the seeds before and after; no likely seed of another run


class Diverged(RuntimeError):
    """Too many updates in a row were skipped because a gradient was not finite."""


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not decide its numbers."""

    start: tuple[Generator, Discriminator, Generator, int] | None = None  # G, D, Gs, nimg
    callbacks: Sequence[Callback] = ()  # called at the end of each tick, by the chief
    measurements: Sequence[Measurement] = ()  # made by the chief after ticks with a snapshot
    checkpoint_sec: float = 600.0  # between checkpoints: the most work that a crash can cost
    allow_config_change: bool = False  # continue from a checkpoint of another configuration
    on_divergence: Literal["stop", "rollback"] = "stop"  # rollback continues with other draws
    profile_steps: int = 0  # iterations to record as a TensorBoard trace in the run folder
    preset: str | None = None  # name to store as that of the configuration; None = keep the stored


def run(
    config: RunConfig,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    folder: Path,
    options: RunOptions = RunOptions(),
) -> int | None:
    """Trains until `total_kimg`, continuing from the newest checkpoint in the run folder.

    With several workers each of them calls it; only the chief touches the run folder.

    Args:
        config: whole configuration, made for dataset and replicas, and checked.
        dataset: images to train on.
        strategy: strategy whose replicas share a minibatch.
        folder: run folder.
        options: see RunOptions.

    Returns:
        None when all images have been shown and measured, or the number of the signal (SIGINT,
        SIGTERM) that ended the run early; a checkpoint has been written then.

    Raises:
        Diverged: after `max_skipped` iterations in a row without a finite gradient, unless a
            rollback helps.
        MemoryError: when a stage does not fit into the memory of the device.
        OSError: when a file cannot be written; all files written before are whole.
        ValueError: when there are checkpoints, but none can be used.
    """
    workers = Workers(strategy)
    with Interrupt(workers) as interrupt:
        state = TrainingState(config, strategy)
        source = Source.of(dataset)
        checkpoints = Checkpoints(
            folder / run_folder.CHECKPOINT_FOLDER,
            config,
            source,
            workers,
            options.allow_config_change,
        )
        if not checkpoints.restore(state):
            _begin(state, config, dataset, options)
            checkpoints.save(state)  # at once, so that a disk too small for it shows now
        if workers.is_chief:
            run_folder.accept_config(folder, config, source, options.preset)
        logging.info("Training to %g kimg in %s", config.training.total_kimg, folder)
        job = _Job(config, dataset, strategy, folder, options, workers.is_chief)
        is_complete = _train(job, state, checkpoints, interrupt)
        # Barrier: some launchers kill all workers when the first one exits.
        workers.all_reduce_sum([0])
    if not is_complete:
        return interrupt.signum
    if workers.is_chief:
        run_folder.mark_finished(folder)
    logging.info("Finished %s", folder)
    return None


@dataclasses.dataclass(frozen=True)
class _Job:
    """The arguments of `run`, and whether this worker writes the files."""

    config: RunConfig
    dataset: Dataset
    strategy: tf.distribute.Strategy
    folder: Path
    options: RunOptions
    is_chief: bool


def _train(job: _Job, state: TrainingState, checkpoints: Checkpoints, interrupt: Interrupt) -> bool:
    """Trains to the end, or a signal; begins anew at a checkpoint where options ask for it.

    Returns True at the end.
    """
    config, options = job.config, job.options
    while True:
        if state.progress.stage is None:  # A checkpoint holds the lod of its last iteration.
            _set_lod(state, config.schedule.at(state.progress.cur_nimg))
        on_tick: list[Callback] = []
        if job.is_chief:
            on_tick += callbacks.standard(job.folder, job.dataset, state, config)
            on_tick += options.callbacks
        measurements = Measurements(options.measurements if job.is_chief else (), interrupt)
        stepper = _make_stepper(state, config, job.dataset, job.strategy)
        try:
            num_steps = options.profile_steps if job.is_chief else 0
            with profiled(stepper, job.folder, num_steps) as steps:
                loop = _Loop(config, state, steps, on_tick, measurements, checkpoints, interrupt)
                return loop.run(options.checkpoint_sec)
        except Diverged as error:
            if options.on_divergence != "rollback":
                remedy = "continue with other draws: --on_divergence=rollback."
                raise Diverged(f"{error} Or {remedy}") from None
            _roll_back(error, state, checkpoints)


class _Loop:
    """Calls, ticks and checkpoints on one state, until the last image or a signal."""

    def __init__(
        self,
        config: RunConfig,
        state: TrainingState,
        stepper: Steps,
        on_tick: Sequence[Callback],
        measurements: Measurements,
        checkpoints: Checkpoints,
        interrupt: Interrupt,
    ) -> None:
        self._config, self._state, self._stepper = config, state, stepper
        self._on_tick, self._measurements = on_tick, measurements
        self._checkpoints, self._interrupt = checkpoints, interrupt

    def run(self, checkpoint_sec: float) -> bool:
        """Returns True when all images were shown and measured, False after a signal."""
        progress, total_nimg = self._state.progress, _total_nimg(self._config)
        if progress.cur_nimg == progress.tick_start_nimg:
            self._choose_measurements(resumed=True)
            self._measurements.make(self._state)
        saved, saved_nimg, ticked = time.monotonic(), progress.cur_nimg, time.monotonic()
        while progress.cur_nimg < total_nimg and self._interrupt.signum is None:
            now = self._step()
            self._interrupt.agree()
            final = progress.cur_nimg >= total_nimg
            is_over, is_measured = final or ticks.is_over(progress, now), False
            if is_over:
                self._finish_tick(now, time.monotonic() - ticked, final)
                is_measured = self._choose_measurements()
            growing = self._config.schedule.at(progress.cur_nimg).resolution != now.resolution
            late = time.monotonic() - saved > checkpoint_sec or is_measured
            healthy = not progress.skipped_in_row
            if final or self._interrupt.signum or growing or (late and healthy):
                self._checkpoints.save(self._state)
                saved, saved_nimg = time.monotonic(), progress.cur_nimg
            if is_over:
                self._measurements.make(self._state)
                ticked = time.monotonic()
        if saved_nimg != progress.cur_nimg:  # A signal stopped the measurement of a sick network.
            self._checkpoints.save(self._state)
        return progress.cur_nimg >= total_nimg and not self._measurements.are_left()

    def _choose_measurements(self, resumed: bool = False) -> bool:
        """Chooses the measurements after a tick with a snapshot. Returns True if there are any."""
        progress = self._state.progress
        final = progress.cur_nimg >= _total_nimg(self._config)
        every = self._config.training.network_snapshot_ticks
        has_snapshot = progress.tick > 0 and (final or (progress.tick - 1) % every == 0)
        return has_snapshot and self._measurements.choose(progress.cur_nimg, final, resumed)

    def _step(self) -> ScheduleState:
        """Runs the next call. Returns the schedule of its last iteration."""
        config, state, progress = self._config, self._state, self._state.progress
        started = time.monotonic()
        call = plan.next_call(
            config.schedule, config.training, progress.cur_nimg, progress.tick_start_nimg
        )
        enter_stage(state, config.schedule.at(progress.cur_nimg), config.training)
        rows = self._stepper.run(call)
        names = self._stepper.statistics
        ticks.count(progress, names, rows, call)
        progress.train_sec += time.monotonic() - started
        _set_lod(state, call.now)
        if progress.skipped_in_row >= config.training.max_skipped:
            last = ", ".join(
                f"{name} {value:g}"
                for name, value in zip(names, rows[-1], strict=True)
                if name != "skipped"
            )
            size = call.now.resolution
            raise Diverged(
                f"no finite gradient in {progress.skipped_in_row} iterations in a row, up to "
                f"{progress.cur_nimg / 1000:g} kimg at {size}x{size} (lod {call.now.lod:g}); the "
                f"last iteration had {last}. Lower the learning rate."
            )
        return call.now

    def _finish_tick(self, now: ScheduleState, seconds: float, final: bool) -> None:
        tick = ticks.finish(
            self._state.progress,
            self._stepper.statistics,
            now,
            sec_per_tick=seconds,
            total_nimg=_total_nimg(self._config),
        )
        for callback in self._on_tick:
            callback(tick, self._state, final)


def enter_stage(state: TrainingState, now: ScheduleState, training: TrainingConfig) -> None:
    """Resets Adam when a fade begins or ends."""
    if state.progress.stage != now.stage and training.reset_opt_for_new_lod:
        state.G_opt.reset()
        state.D_opt.reset()
    state.progress.stage = now.stage


def _begin(state: TrainingState, config: RunConfig, dataset: Dataset, options: RunOptions) -> None:
    if options.start is not None:
        state.load_networks(*options.start)
    else:
        initialize_discrimination(state.D, config, dataset)


def _make_stepper(
    state: TrainingState, config: RunConfig, dataset: Dataset, strategy: tf.distribute.Strategy
) -> Stepper:
    """A Stepper with other draws after every rollback: the same draws would end the same way."""
    seed = config.training.seed + ROLLBACK_SEEDS * state.progress.num_rollbacks
    return Stepper(state, config.replace({"training.seed": seed}), dataset, strategy)


def _roll_back(error: Diverged, state: TrainingState, checkpoints: Checkpoints) -> None:
    """Goes back to the newest healthy checkpoint; raises Diverged if there is none left to try."""
    num_rollbacks = state.progress.num_rollbacks + 1
    if not checkpoints.restore(state, healthy=True):
        raise Diverged(f"{error} There is no healthy checkpoint to go back to.") from None
    if num_rollbacks > state.progress.num_rollbacks + MAX_ROLLBACKS:
        raise Diverged(f"{error} {MAX_ROLLBACKS} rollbacks did not help.") from None
    state.progress.num_rollbacks = num_rollbacks
    logging.warning("Diverged: %s Rollback %d, with other draws.", error, num_rollbacks)


def _set_lod(state: TrainingState, now: ScheduleState) -> None:
    for network in state.networks().values():
        network.lod = now.lod


def _total_nimg(config: RunConfig) -> int:
    return math.ceil(config.training.total_kimg * 1000)
