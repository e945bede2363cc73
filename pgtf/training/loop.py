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
from pgtf.dataset.workers import default_num_workers
from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.workers import Workers
from pgtf.runs import run_folder
from pgtf.runs.checkpoints import Checkpoints
from pgtf.runs.identity import Source
from pgtf.schedule import ScheduleState
from pgtf.training import callbacks, held_out, plan, ticks, watch
from pgtf.training.callbacks import Callback
from pgtf.training.calls import Calls, Diverged, set_lod
from pgtf.training.config import RunConfig
from pgtf.training.initialization import initialize_discrimination
from pgtf.training.measuring import Measurement, Measurements
from pgtf.training.overfitting import AdaptingStepper
from pgtf.training.pace import Pace
from pgtf.training.profiler import Steps, profiled
from pgtf.training.progress import Display, TickProgress
from pgtf.training.rollback import config_after, roll_back
from pgtf.training.start import Start
from pgtf.training.state import Progress, TrainingState
from pgtf.training.stepper import Stepper


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not decide its numbers."""

    start: Start | None = None  # networks to begin with
    callbacks: Sequence[Callback] = ()  # called at the end of each tick, by the chief
    measurements: Sequence[Measurement] = ()  # made by the chief after ticks with a snapshot
    checkpoint_sec: float = 600.0  # between checkpoints: the most work that a crash can cost
    allow_config_change: bool = False  # continue from a checkpoint of another configuration
    on_divergence: Literal["stop", "rollback"] = "stop"  # rollback continues with other draws
    profile_steps: int = 0  # iterations to record as a TensorBoard trace in the run folder
    display: Display | None = None  # of the chief; None = a bar on terminals
    preset: str | None = None  # name to store as that of the configuration; None = keep the stored
    watch: watch.Measures | None = None  # of fakes in each tick, if the configuration asks for it


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
        logging.info("Building the networks ...")
        state = TrainingState(config, strategy)
        source = Source.of(dataset)
        checkpoints = Checkpoints(
            folder / run_folder.CHECKPOINT_FOLDER,
            config,
            source,
            workers,
            options.allow_config_change,
        )
        is_saved = checkpoints.restore(state)
        if not is_saved:
            _begin(state, config, dataset, options)
            # Usually after the first call, so that a disk too small for it shows at once as well.
            if is_saved := _is_needed_before_the_first_call(config, state.progress):
                checkpoints.save(state)
        if workers.is_chief:
            run_folder.accept_config(folder, config, source, options.preset)
        logging.info("Training to %g kimg in %s", config.training.total_kimg, folder)
        job = _Job(config, dataset, strategy, folder, options, workers, is_saved)
        is_complete = _train(job, state, checkpoints, interrupt)
        # Barrier: some launchers kill all workers when the first one exits.
        workers.all_reduce_sum([0])
    if not is_complete:
        return interrupt.signum
    if workers.is_chief:
        run_folder.mark_finished(folder)
    logging.info("Finished %s", folder)
    return None


def _is_needed_before_the_first_call(config: RunConfig, progress: Progress) -> bool:
    """True if the first call alone may end a tick, or the run, which counts on a checkpoint."""
    schedule, training = config.schedule, config.training
    call = plan.next_call(schedule, training, progress.cur_nimg, progress.tick_start_nimg, 1)
    end = min(progress.tick_start_nimg + call.now.tick_kimg * 1000, _total_nimg(config))
    return call.end_nimg >= end or training.max_skipped <= training.minibatch_repeats


@dataclasses.dataclass(frozen=True)
class _Job:
    """The arguments of `run`, and what it found."""

    config: RunConfig
    dataset: Dataset
    strategy: tf.distribute.Strategy
    folder: Path
    options: RunOptions
    workers: Workers
    is_saved: bool  # there is a checkpoint of the present state


def _train(job: _Job, state: TrainingState, checkpoints: Checkpoints, interrupt: Interrupt) -> bool:
    """Trains to the end, or a signal; begins anew at a checkpoint where options ask for it.

    Returns True at the end.
    """
    config, options, is_chief = job.config, job.options, job.workers.is_chief
    pace = Pace(config, _cores_per_replica(job.strategy), job.workers.num)
    is_saved = job.is_saved
    while True:
        if state.progress.stage is None:  # A checkpoint holds the lod of its last iteration.
            set_lod(state, config.schedule.at(state.progress.cur_nimg))
        on_tick: list[Callback] = []
        if is_chief:
            on_tick += callbacks.standard(job.folder, job.dataset, state, config)
            on_tick += options.callbacks
        measurements = Measurements(options.measurements if is_chief else (), interrupt)
        stepper = _make_stepper(job, state)
        try:
            num_steps = options.profile_steps if is_chief else 0
            with profiled(stepper, job.folder, num_steps) as steps:
                display = (options.display or TickProgress()) if is_chief else None
                calls = Calls(config, state, steps, pace, display)
                loop = _Loop(
                    *(config, state, calls, on_tick, measurements, checkpoints, interrupt, pace),
                    _watch_of(job, state),
                )
                try:
                    return loop.run(options.checkpoint_sec, is_saved)
                finally:
                    calls.clear()
        except Diverged as error:
            if options.on_divergence != "rollback":
                remedy = "continue with other draws: --on_divergence=rollback."
                raise Diverged(f"{error} Or {remedy}") from None
            roll_back(error, state, checkpoints)
            is_saved = True


class _Loop:
    """Calls, ticks and checkpoints on one state, until the last image or a signal."""

    def __init__(
        self,
        config: RunConfig,
        state: TrainingState,
        calls: Calls,
        on_tick: Sequence[Callback],
        measurements: Measurements,
        checkpoints: Checkpoints,
        interrupt: Interrupt,
        pace: Pace,
        watching: watch.Watch | None = None,
    ) -> None:
        self._config, self._state, self._calls = config, state, calls
        self._on_tick, self._measurements = on_tick, measurements
        self._checkpoints, self._interrupt, self._pace = checkpoints, interrupt, pace
        self._watch = watching
        self._part_nimg = state.progress.cur_nimg  # at the start of the tick, or of its part here

    def run(self, checkpoint_sec: float, is_saved: bool) -> bool:
        """Returns True when all images were shown and measured, False after a signal."""
        progress, total_nimg = self._state.progress, _total_nimg(self._config)
        if progress.cur_nimg == progress.tick_start_nimg:
            self._choose_measurements(resumed=True)
            self._measurements.make(self._state)
        saved, ticked = time.monotonic() if is_saved else -math.inf, time.monotonic()
        saved_nimg = progress.cur_nimg
        while progress.cur_nimg < total_nimg and self._interrupt.signum is None:
            now = self._calls.run_next()
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
                if saved == -math.inf:
                    logging.info("Saving the first checkpoint ...")
                with self._pace.pause():
                    self._checkpoints.save(self._state)
                saved, saved_nimg = time.monotonic(), progress.cur_nimg
            with self._pace.pause():
                callbacks.begin(self._on_tick)
                if is_over:
                    self._measurements.make(self._state)
            if is_over:
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

    def _finish_tick(self, now: ScheduleState, seconds: float, final: bool) -> None:
        progress = self._state.progress
        tick = ticks.finish(
            progress,
            self._calls.statistics,
            now,
            sec_per_tick=seconds,
            num_nimg=progress.cur_nimg - self._part_nimg,
            eta_sec=self._pace.eta_sec(progress.cur_nimg),
        )
        self._part_nimg = progress.cur_nimg
        self._calls.clear()
        with self._pace.pause():
            tick = watch.with_augmentation(tick, self._config, self._state)
            if self._watch is not None:
                tick = self._watch(tick, self._state)
            for callback in self._on_tick:
                callback(tick, self._state, final)
        self._pace.end_tick()


def _watch_of(job: _Job, state: TrainingState) -> watch.Watch | None:
    """The watch of the chief, if measures were given and the configuration asks for it."""
    measures, config = job.options.watch, job.config
    if measures is None or not config.augment.is_watched or not job.workers.is_chief:
        return None
    parts = held_out.split(job.dataset, config)
    meta = watch.meta_of(job.dataset, config)
    return watch.Watch(job.folder, parts.kept_apart, state, config, measures, meta)


def _begin(state: TrainingState, config: RunConfig, dataset: Dataset, options: RunOptions) -> None:
    if (start := options.start) is not None:
        state.load_networks(start.G, start.D, start.Gs, start.nimg, start.frozen)
    else:
        initialize_discrimination(state.D, config, dataset)


def _make_stepper(job: _Job, state: TrainingState) -> Steps:
    """Creates a Stepper with other draws after every rollback."""
    config = config_after(state.progress.num_rollbacks, job.config)
    parts = held_out.split(job.dataset, job.config)
    stepper = Stepper(state, config, parts.train, job.strategy)
    if parts.held_out is None:
        return stepper
    return AdaptingStepper(stepper, state, config, (parts.train, parts.held_out), job.workers)


def _cores_per_replica(strategy: tf.distribute.Strategy) -> int | None:
    """Cores of the CPU that compute one replica; None if GPUs do."""
    if tf.config.get_visible_devices("GPU"):
        return None
    return max(default_num_workers() // strategy.num_replicas_in_sync, 1)


def _total_nimg(config: RunConfig) -> int:
    return math.ceil(config.training.total_kimg * 1000)
