"""Progress of a run in a notebook: one line that changes in place."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from tqdm import tqdm

from pgtf.grids import SQUARE_GRID, Grid
from pgtf.schedule import ScheduleState
from pgtf.training.state import Progress, TrainingState
from pgtf.training.ticks import Tick

REDRAW_SEC = 0.5


def in_notebook() -> bool:
    """True in a kernel of Jupyter, Colab or the like, which can change what it has displayed."""
    ipython = sys.modules.get("IPython")  # imported by every kernel
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookLine:
    """Displays one line and changes it after calls and ticks."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn = -REDRAW_SEC
        self._losses = ""
        self.total_kimg = 0.0

    def show(
        self, progress: Progress, now: ScheduleState, eta_sec: float, grid: Grid = SQUARE_GRID
    ) -> None:
        """Shows the state after a call."""
        if time.monotonic() - self._drawn >= REDRAW_SEC:
            self._drawn = time.monotonic()
            eta = tqdm.format_interval(eta_sec)
            where = f"{grid.size_text(now.resolution)}{', fading in' if now.alpha < 1 else ''}"
            self._write(progress.cur_nimg, f"{where}{self._losses}, {eta} left")

    def clear(self) -> None:
        """Does nothing: the line stays where it is."""

    def on_tick(self, tick: Tick, state: TrainingState, final: bool) -> None:
        """Shows the losses of a tick. A callback of the loop."""
        losses = (tick.statistics[name] for name in ("G_loss", "D_loss"))
        self._losses = ", loss of G {:.2f}, of D {:.2f}".format(*losses)
        if final:
            minutes = tqdm.format_interval(tick.train_hours * 3600)
            where = state.Gs.config.base.size_text(tick.resolution)
            self._write(state.progress.cur_nimg, f"{where}{self._losses}, trained for {minutes}")

    def _write(self, nimg: int, rest: str) -> None:
        display = importlib.import_module("IPython.display").display
        share = min(nimg / 1000 / self.total_kimg, 1.0) if self.total_kimg else 0.0
        bar = "\u2588" * round(share * 20)
        text = f"|{bar:20}| {nimg / 1000:.1f} of {self.total_kimg:g} kimg, {rest}"
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Silence:
    """Displays nothing."""

    def show(
        self, progress: Progress, now: ScheduleState, eta_sec: float, grid: Grid = SQUARE_GRID
    ) -> None:
        """Does nothing."""

    def clear(self) -> None:
        """Does nothing."""
