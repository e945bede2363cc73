"""Progress of a run in a notebook: one line that changes in place."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Mapping
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
        self._losses = _losses(tick.statistics)
        if final:
            where = state.Gs.config.base.size_text(tick.resolution)
            self._write_end(state.progress.cur_nimg, where, tick.train_hours)

    def show_end(self, stats: Mapping[str, Any], grid: Grid) -> None:
        """Shows a run that was finished before.

        Args:
            stats: its last line of statistics.
            grid: size of the smallest images.
        """
        self._losses, nimg = _losses(stats), round(stats["kimg"] * 1000)
        self._write_end(nimg, grid.size_text(stats["resolution"]), stats["train_hours"])

    def _write_end(self, nimg: int, where: str, train_hours: float) -> None:
        minutes = tqdm.format_interval(train_hours * 3600)
        self._write(nimg, f"{where}{self._losses}, trained for {minutes}")

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


def _losses(stats: Mapping[str, Any]) -> str:
    names = {"G_loss": "loss of G", "D_loss": "of D"}
    return "".join(f", {text} {stats[name]:.2f}" for name, text in names.items() if name in stats)


class Silence:
    """Displays nothing."""

    def show(
        self, progress: Progress, now: ScheduleState, eta_sec: float, grid: Grid = SQUARE_GRID
    ) -> None:
        """Does nothing."""

    def clear(self) -> None:
        """Does nothing."""
