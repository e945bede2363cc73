"""Progress within a tick: a bar on terminals, a line every few minutes elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from absl import logging
from tqdm import tqdm

from pgtf.grids import SQUARE_GRID, Grid
from pgtf.schedule import ScheduleState
from pgtf.training.state import Progress

REDRAW_SEC = 0.5
LINE_SEC = 300.0  # between lines where there is no terminal


class Display(Protocol):
    """Shows how far a run is."""

    def show(
        self, progress: Progress, now: ScheduleState, eta_sec: float, grid: Grid = SQUARE_GRID
    ) -> None:
        """Shows the state after a call.

        Args:
            progress: counters of the run.
            now: schedule of the last iteration.
            eta_sec: time until the end of the run.
            grid: size of the smallest images.
        """

    def clear(self) -> None:
        """Makes room for a line at the end of a tick."""


class TickProgress:
    """Shows how far a tick is, after each call, on standard error or in the log."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._said = time.monotonic()

    def show(
        self, progress: Progress, now: ScheduleState, eta_sec: float, grid: Grid = SQUARE_GRID
    ) -> None:
        """Shows the state after a call. See `Display`."""
        done, total = progress.cur_nimg - progress.tick_start_nimg, round(now.tick_kimg * 1000)
        where = f"{grid.size_text(now.resolution)}, eta {tqdm.format_interval(eta_sec)}"
        if sys.stderr.isatty():
            if self._bar is None:
                self._bar = tqdm(
                    desc=f"tick {progress.tick}",
                    initial=done,
                    total=total,
                    unit="img",
                    unit_scale=True,
                    leave=False,
                    mininterval=REDRAW_SEC,
                    delay=REDRAW_SEC,
                )
            self._bar.set_postfix_str(where, refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._said > LINE_SEC:
            self._said = time.monotonic()
            kimg = f"{done / 1000:.1f} of {total / 1000:g} kimg"
            logging.info("tick %d: %s, %s", progress.tick, kimg, where)

    def clear(self) -> None:
        """Removes the bar, before another line appears."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._said = None, time.monotonic()
