"""Measurements between ticks: after a checkpoint of the same position, and only until a signal.

A measurement may take longer than the grace period of a preempted job. Stopping it loses nothing:
the run continues from that checkpoint and measures what was not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.signals import deferred
from pgtf.training.state import TrainingState


class Measurement(Protocol):
    """The part of metrics.during_training.SnapshotMetrics that the loop needs."""

    def is_due(self, cur_nimg: int, final: bool) -> bool:
        """True if the snapshot of this position is to be measured."""

    def is_recorded(self, cur_nimg: int) -> bool:
        """True if all values of this position have been recorded."""

    def measure(self, state: TrainingState, check: Callable[[], None]) -> Any:
        """Measures. Any exception may stop it; `check` is to be called between batches."""

    def record(self, found: Any) -> None:
        """Stores the result of `measure`."""


class Measurements:
    """The measurements of a run, which the chief makes while other workers wait.

    Args:
        measurements: those of the run; none on workers that are not the chief.
        interrupt: signals to the run.
    """

    def __init__(self, measurements: Sequence[Measurement], interrupt: Interrupt) -> None:
        self._all, self._interrupt = measurements, interrupt
        self._due: list[Measurement] = []

    def choose(self, cur_nimg: int, final: bool, resumed: bool = False) -> bool:
        """Chooses those of the current position. Returns True if there are any.

        Args:
            cur_nimg: images shown.
            final: True after the last tick.
            resumed: leave out those that were recorded before the run was interrupted.
        """
        self._due = [
            measurement
            for measurement in self._all
            if measurement.is_due(cur_nimg, final)
            and not (resumed and measurement.is_recorded(cur_nimg))
        ]
        return bool(self._due)

    def make(self, state: TrainingState) -> None:
        """Makes the chosen ones, until a signal is noted. Collective: all workers call it."""
        if self._interrupt.signum is None:
            self._interrupt.run_on_chief(lambda check: self._make(state, check))

    def are_left(self) -> bool:
        """True if a signal left a chosen one undone. Collective: all workers call it."""
        return self._interrupt.agree(is_working=bool(self._due))

    def _make(self, state: TrainingState, check: Callable[[], None]) -> None:
        while self._due:
            found = self._due[0].measure(state, check)
            with deferred():
                self._due.pop(0).record(found)
