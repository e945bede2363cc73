"""SIGINT and SIGTERM: during training, stop after the current call; elsewhere, exit immediately."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pgtf.distribution.workers import Workers

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, types.FrameType | None], Any]


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
        self._before = _set_handlers(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        _restore(self._before)

    def agree(self) -> None:
        """Sets `signum` on all workers if one has noted a signal. Collective: all call it."""
        counts = self._workers.all_reduce_sum([self._noted == number for number in SIGNALS])
        for number, count in zip(SIGNALS, counts, strict=True):
            if count:
                self.signum = number

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        self._noted = signum
        _restore(self._before)


class Stopped(BaseException):
    """A signal that ends the process immediately. No Exception, so that no handler catches it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Context manager in which SIGINT and SIGTERM raise Stopped."""

    def stop(signum: int, frame: types.FrameType | None) -> None:
        raise Stopped(signum)

    before = _set_handlers(stop)
    try:
        yield
    finally:
        _restore(before)


def _set_handlers(handler: Handler) -> dict[int, Any]:
    """Sets the handler of both signals. Returns the previous ones by signal number."""
    return {number: signal.signal(number, handler) for number in SIGNALS}


def _restore(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
