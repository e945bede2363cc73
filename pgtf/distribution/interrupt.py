"""SIGINT and SIGTERM during training: stop after the current call."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pgtf.distribution.signals import SIGNALS, Stopped, restore, set_handlers, stopped_by_signals

if TYPE_CHECKING:  # It imports TensorFlow, which not every command needs.
    from pgtf.distribution.workers import Workers

AGREE_SEC = 0.5  # between two exchanges with workers that wait


class Interrupt:
    """Context manager that notes the first SIGINT or SIGTERM.

    A second signal has the effect that it has outside.

    Attributes:
        signum: number of the signal that all workers stop for; None as long as there is none.
    """

    def __init__(self, workers: Workers) -> None:
        self.signum: int | None = None
        self._workers = workers
        self._noted: int | None = None
        self._before: Mapping[int, Any] = {}

    def __enter__(self) -> Interrupt:
        self._before = set_handlers(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        restore(self._before)

    def agree(self, is_working: bool = False) -> bool:
        """Sets `signum` on all workers if one has noted a signal. Collective: all call it.

        Returns:
            True if `is_working` is true on any worker.
        """
        mine = [self._noted == number for number in SIGNALS]
        *counts, num_working = self._workers.all_reduce_sum([*mine, is_working])
        for number, count in zip(SIGNALS, counts, strict=True):
            if count:
                self.signum = number
        return num_working > 0

    def run_on_chief(self, work: Callable[[Callable[[], None]], None]) -> None:
        """Calls `work(check)` on the chief while the others wait. Collective: all call it.

        A signal to the chief stops `work` immediately, by the exception Stopped. One to another
        worker stops it at the next call of `check`, which `work` should call several times a
        second. `signum` is set on all workers then.
        """
        agreed = time.monotonic()

        def check() -> None:
            nonlocal agreed
            if time.monotonic() - agreed < AGREE_SEC:
                return
            self.agree(is_working=True)
            if self.signum is not None:
                raise Stopped(self.signum)
            agreed = time.monotonic()

        if not self._workers.is_chief:
            while self.agree():
                pass
            return
        try:
            with stopped_by_signals():
                work(check)
        except Stopped as stop:
            self._note(stop.signum, None)
        finally:
            self.agree()

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        self._noted = signum
        restore(self._before)
