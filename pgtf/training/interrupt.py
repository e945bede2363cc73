"""SIGINT and SIGTERM as a wish that the loop fulfils between two calls."""

import signal
import types


class Interrupt:
    """Inside `with`, notes the first SIGINT or SIGTERM in `signum`; a second one acts at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signum = None
        self._before: dict[int, object] = {}

    def __enter__(self):
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *error):
        self._restore()

    def _note(self, signum: int, frame: types.FrameType | None):
        self.signum = signum
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
