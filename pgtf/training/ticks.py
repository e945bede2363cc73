"""Ticks: the lines of stats.jsonl, and the counters of a run behind them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.schedule import ScheduleState
from pgtf.training import memory
from pgtf.training.plan import Call
from pgtf.training.state import Progress

TIME_FIELDS = ("sec_per_kimg", "sec_per_tick", "train_hours", "eta_hours", "peak_gib")


@dataclasses.dataclass(frozen=True)
class Tick:
    """State of a run at the end of a tick. All but TIME_FIELDS is the same in every repetition."""

    tick: int
    kimg: float  # thousands of real images shown
    lod: float
    alpha: float
    resolution: int
    minibatch: int
    G_lrate: float
    D_lrate: float
    statistics: Mapping[str, float]  # means over the tick's iterations: G_loss, D_loss, ...
    skipped_updates: int  # since the start of the run, because a gradient was not finite
    sec_per_kimg: float  # in this process: of its part if the run resumed inside the tick
    sec_per_tick: float
    train_hours: float  # time spent training since the start of the run
    eta_hours: float  # estimated time until the end: training.pace
    peak_gib: float  # peak GPU memory, or peak memory of the process when training on the CPU

    def as_line(self) -> dict[str, float]:
        """Fields by name, with each statistic as a field of its own."""
        line: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            line |= value if field.name == "statistics" else {field.name: value}
        return line


def count(progress: Progress, names: Sequence[str], rows: np.ndarray, call: Call) -> None:
    """Adds a call's statistics to the counters, by iteration, so that calls may be cut anywhere.

    Args:
        progress: counters to change.
        names: of the columns of `rows`; the last one is "skipped".
        rows: [iterations, len(names)].
        call: the iterations.
    """
    for row in rows:
        statistics = dict(zip(names, map(float, row), strict=True))
        skipped = round(statistics.pop("skipped"))
        progress.num_skipped += skipped
        progress.skipped_in_row = progress.skipped_in_row + 1 if skipped else 0
        if all(map(math.isfinite, statistics.values())):
            progress.num_rows += 1
            for name, value in statistics.items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value
    progress.cur_nimg = call.end_nimg


def is_over(progress: Progress, now: ScheduleState) -> bool:
    """True if the images of a tick have been shown."""
    return progress.cur_nimg >= progress.tick_start_nimg + now.tick_kimg * 1000


def finish(
    progress: Progress,
    names: Sequence[str],
    now: ScheduleState,
    *,
    sec_per_tick: float,
    num_nimg: int,
    eta_sec: float,
) -> Tick:
    """Closes the tick in `progress` and returns it.

    Args:
        progress: counters to change.
        names: as for `count`.
        now: schedule of the last iteration.
        sec_per_tick: wall time of the tick, or of its part in this process.
        num_nimg: images shown in that time.
        eta_sec: time until the end of the run.
    """
    num_rows = max(progress.num_rows, 1)
    tick = Tick(
        tick=progress.tick,
        kimg=progress.cur_nimg / 1000,
        lod=now.lod,
        alpha=now.alpha,
        resolution=now.resolution,
        minibatch=now.minibatch,
        G_lrate=now.G_lrate,
        D_lrate=now.D_lrate,
        statistics={k: progress.sums.get(k, math.nan) / num_rows for k in names if k != "skipped"},
        skipped_updates=progress.num_skipped,
        sec_per_kimg=sec_per_tick / num_nimg * 1000,
        sec_per_tick=sec_per_tick,
        train_hours=progress.train_sec / 3600,
        eta_hours=eta_sec / 3600,
        peak_gib=memory.peak_gib(),
    )
    progress.tick += 1
    progress.tick_start_nimg = progress.cur_nimg
    progress.sums, progress.num_rows = {}, 0
    return tick
