"""SIGINT and SIGTERM during training: stop after the current call."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from pgtf.distribution.signals import SIGNALS, restore, set_handlers
from pgtf.distribution.workers import Workers


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

    def agree(self) -> None:
        """Sets `signum` on all workers if one has noted a signal. Collective: all call it."""
        counts = self._workers.all_reduce_sum([self._noted == number for number in SIGNALS])
        for number, count in zip(SIGNALS, counts, strict=True):
            if count:
                self.signum = number

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        self._noted = signum
        restore(self._before)
