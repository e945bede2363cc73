"""Output of the scripts: no start-up messages; bad input is one line and exit code 2."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from pgtf.commands import fast_sort
from pgtf.foreign.terminal import printable

# Notes (severity I) of TensorFlow's libraries, absl's line before the first of them, and a message
# that TensorFlow 2.18 calls an error although nothing is wrong.
_UNIMPORTANT = re.compile(
    rb"I\d{4} \d\d:|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[EW]\d{4} \d\d:.*Attempting to register factory"
)
# Keras imports these packages if they are installed, for wrappers and plots that no script uses.
# Hiding them saves two seconds.
_UNUSED_BY_KERAS = ("matplotlib", "sklearn")


def prepare() -> None:
    """Sets up a process that runs a command. Call it before NumPy or TensorFlow is imported."""
    fast_sort.choose()
    import_tensorflow_quietly()


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow, and shows its messages except the unimportant ones.

    TensorFlow 2.21 writes some notes before it reads `TF_CPP_MIN_LOG_LEVEL`, from libraries that
    use the process's standard error directly.
    """
    hidden = [name for name in _UNUSED_BY_KERAS if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))  # None makes an import fail.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            for name in hidden:
                del modules[name]
            os.dup2(shown, 2)
            os.close(shown)
            said.seek(0)
            for line in said:
                if not _UNIMPORTANT.match(line):
                    os.write(2, line)


@contextlib.contextmanager
def closed_output_ends_quietly() -> Iterator[None]:
    """Context manager that exits without a message when the reader of standard output has gone.

    `--help | head` closes the pipe before all is written. The exit code is that of SIGPIPE.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output again when it exits, and would report the error then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


@contextlib.contextmanager
def one_line_errors(kinds: tuple[type[Exception], ...] = (ValueError, OSError)) -> Iterator[None]:
    """Context manager that turns these exceptions into one line and exit code 2."""
    try:
        yield
    except kinds as error:
        message = printable(" ".join(_describe(error).split())) or type(error).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _describe(error: BaseException) -> str:
    """Returns the message; for a folder of images in place of a dataset, the command it needs."""
    from pgtf.dataset import NoDataset  # `prepare` must run before NumPy is imported
    from pgtf.dataset.sources.images import suggested_command

    if isinstance(error, NoDataset) and (command := suggested_command(error.path)):
        return f"{error.path}: holds images; make a dataset of them first: {command}"
    return str(error)
