"""Calls of the stepper, one after the other, and what is known after each of them."""

from __future__ import annotations

import time

import numpy as np
from absl import logging

from pgtf.schedule import ScheduleState
from pgtf.training import plan, ticks
from pgtf.training.config import RunConfig, TrainingConfig
from pgtf.training.pace import Pace
from pgtf.training.profiler import Steps
from pgtf.training.progress import Display
from pgtf.training.state import TrainingState


class Diverged(RuntimeError):
    """Too many updates in a row were skipped because a gradient was not finite."""


class Calls:
    """Plans and runs calls on one state.

    Attributes:
        statistics: names of the values of an iteration.
    """

    def __init__(
        self,
        config: RunConfig,
        state: TrainingState,
        stepper: Steps,
        pace: Pace,
        shown: Display | None,
    ) -> None:
        self.statistics = stepper.statistics
        self._config, self._state, self._stepper = config, state, stepper
        self._pace, self._shown = pace, shown

    def run_next(self) -> ScheduleState:
        """Runs the next call. Returns the schedule of its last iteration."""
        config, state, progress = self._config, self._state, self._state.progress
        started = time.monotonic()
        where = (config.schedule, config.training, progress.cur_nimg, progress.tick_start_nimg)
        usual = plan.GPU_EVALUATIONS if self._pace.is_of_gpus else None
        call = plan.next_call(*where, self._pace.max_evaluations(), usual)
        if is_new := self._stepper.is_new(call):
            call = plan.next_call(*where, 1)
        enter_stage(state, config.schedule.at(progress.cur_nimg), config.training)
        rows = self._run_new(call) if is_new else self._run(call)
        ticks.count(progress, self.statistics, rows, call)
        progress.train_sec += time.monotonic() - started
        self._show(call.now)
        set_lod(state, call.now)
        self._check_divergence(call.now, rows)
        return call.now

    def clear(self) -> None:
        """Removes the progress bar, before another line appears."""
        if self._shown is not None:
            self._shown.clear()

    def _run(self, call: plan.Call) -> np.ndarray:
        started = time.monotonic()
        rows = self._stepper.run(call)
        self._pace.iterated(call.now, len(rows), time.monotonic() - started)
        return rows

    def _run_new(self, call: plan.Call) -> np.ndarray:
        """Runs the first call of a stage. Its first iteration, which compiles, is timed apart."""
        first, *others = call.split(1)
        started = time.monotonic()
        rows = [self._stepper.run(first)]
        seconds = time.monotonic() - started
        logging.info("Compiled, and ran the first iteration, in %.1f s", seconds)
        self._pace.compiled(call.now, seconds)
        return np.concatenate([*rows, *map(self._run, others)])

    def _show(self, now: ScheduleState) -> None:
        if self._shown is not None:
            progress = self._state.progress
            eta_sec = self._pace.eta_sec(progress.cur_nimg)
            self._shown.show(progress, now, eta_sec, self._config.G.base)

    def _check_divergence(self, now: ScheduleState, rows: np.ndarray) -> None:
        progress, names = self._state.progress, self.statistics
        if progress.skipped_in_row >= self._config.training.max_skipped:
            last = ", ".join(
                f"{name} {value:g}"
                for name, value in zip(names, rows[-1], strict=True)
                if name != "skipped"
            )
            size = self._config.G.base.size_text(now.resolution)
            raise Diverged(
                f"no finite gradient in {progress.skipped_in_row} iterations in a row, up to "
                f"{progress.cur_nimg / 1000:g} kimg at {size} (lod {now.lod:g}); the "
                f"last iteration had {last}. Lower the learning rate."
            )


def enter_stage(state: TrainingState, now: ScheduleState, training: TrainingConfig) -> None:
    """Resets Adam when a fade begins or ends."""
    if state.progress.stage != now.stage and training.reset_opt_for_new_lod:
        state.G_opt.reset()
        state.D_opt.reset()
    state.progress.stage = now.stage


def set_lod(state: TrainingState, now: ScheduleState) -> None:
    """Stores the level of detail in all networks."""
    for network in state.networks().values():
        network.lod = now.lod
