"""SIGINT and SIGTERM as a wish that the loop fulfils between two calls."""

import signal
import types


class Interrupt:
    """Inside `with`, notes the first SIGINT or SIGTERM; a second one acts at once.

    Attributes:
        signum: number of the signal that all workers stop for, None while there is none.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, workers):
        self.signum = None
        self._workers = workers
        self._noted = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *error):
        self._restore()

    def agree(self):
        """Sets `signum` on all workers if one of them has noted a signal; all call it together."""
        counts = self._workers.total([self._noted == number for number in self.SIGNALS])
        for number, count in zip(self.SIGNALS, counts, strict=True):
            if count:
                self.signum = number

    def _note(self, signum: int, frame: types.FrameType | None):
        self._noted = signum
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
