"""SIGINT and SIGTERM: a wish that the loop fulfils between two calls, an end at once elsewhere."""

import contextlib
import signal
import types

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Inside `with`, notes the first SIGINT or SIGTERM; a second one acts as it does outside.

    Attributes:
        signum: number of the signal that all workers stop for, None while there is none.
    """

    def __init__(self, workers):
        self.signum = None
        self._workers = workers
        self._noted = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        self._before = _handle(self._note)
        return self

    def __exit__(self, *error):
        _restore(self._before)

    def agree(self):
        """Sets `signum` on all workers if one of them has noted a signal; all call it together."""
        counts = self._workers.total([self._noted == number for number in SIGNALS])
        for number, count in zip(SIGNALS, counts, strict=True):
            if count:
                self.signum = number

    def _note(self, signum: int, frame: types.FrameType | None):
        self._noted = signum
        _restore(self._before)


class Stopped(BaseException):
    """A signal that ends the process at once; no error that anything could mend."""

    def __init__(self, signum):
        super().__init__(signum)
        self.signum = signum


@contextlib.contextmanager
def stopped_by_signals():
    """Inside `with`, SIGINT and SIGTERM raise Stopped."""

    def stop(signum, frame):
        raise Stopped(signum)

    before = _handle(stop)
    try:
        yield
    finally:
        _restore(before)


def _handle(handler):
    """Sets the handler of both signals: -> those before, by number."""
    return {number: signal.signal(number, handler) for number in SIGNALS}


def _restore(handlers):
    for number, handler in handlers.items():
        signal.signal(number, handler)
