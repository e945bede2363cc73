"""SIGINT and SIGTERM end a process with one line, whatever it is doing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, types.FrameType | None], Any]


class Stopped(KeyboardInterrupt):
    """A signal that ends the process. No Exception, so that no handler of errors catches it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def exit_on_signals() -> None:
    """Makes both signals end the process immediately, with a line on the present standard error.

    For a process that has nothing to clean up, such as one that still imports its modules.
    """
    set_handlers(_exit_immediately(_copy_of_stderr()))


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Context manager in which SIGINT and SIGTERM raise Stopped.

    Between the signal and the end of the block, a second one ends the process immediately.
    """
    stderr = _copy_of_stderr()
    exit_immediately = _exit_immediately(stderr)
    hook = sys.unraisablehook
    received: list[int] = []

    def stop(signum: int, frame: types.FrameType | None) -> None:
        received.append(signum)
        set_handlers(exit_immediately)
        if "tensorflow" in sys.modules:
            # It would report every operation of a function whose tracing is cut short.
            sys.modules["logging"].getLogger("tensorflow").setLevel("CRITICAL")
        raise Stopped(signum)

    def unraisable(lost: Any) -> None:
        """Ends the process if Stopped was raised where Python can only print it: in a __del__."""
        if isinstance(lost.exc_value, Stopped):
            exit_immediately(lost.exc_value.signum, None)
        hook(lost)

    before = set_handlers(stop)
    sys.unraisablehook = unraisable
    try:
        yield
    except Exception:
        if received:  # A library has made an error of its own of the interruption.
            raise Stopped(received[0]) from None
        raise
    finally:
        restore(before)
        sys.unraisablehook = hook
        with contextlib.suppress(OSError):
            os.close(stderr)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Context manager that delays the effect of SIGINT and SIGTERM to its end."""
    noted: list[int] = []
    before = set_handlers(lambda signum, frame: noted.append(signum))
    try:
        yield
    finally:
        restore(before)
        if noted:
            signal.raise_signal(noted[0])


def exit_after(stop: KeyboardInterrupt, remedy: str = "") -> NoReturn:
    """Ends a process that a signal has stopped: one line, and the exit code that shells report."""
    start = "\n" if sys.stderr.isatty() else ""  # Terminals show ^C before it.
    print(f"{start}interrupted{remedy}", file=sys.stderr)
    sys.exit(128 + (stop.signum if isinstance(stop, Stopped) else signal.SIGINT))


def set_handlers(handler: Handler) -> dict[int, Any]:
    """Sets the handler of both signals. Returns the previous ones by signal number.

    Does nothing in another thread than the main one, where Python has no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def restore(handlers: Mapping[int, Any]) -> None:
    """Sets the handlers that `set_handlers` returned."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _copy_of_stderr() -> int:
    """Duplicates the descriptor, which may lead elsewhere for a while. -1 if it is closed."""
    try:
        return os.dup(2)
    except OSError:
        return -1


def _exit_immediately(stderr: int) -> Handler:
    """Makes a handler that writes one line to a descriptor and ends the process."""

    def handle(signum: int, frame: types.FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.write(stderr, b"\ninterrupted\n" if os.isatty(stderr) else b"interrupted\n")
        os._exit(128 + signum)

    return handle
