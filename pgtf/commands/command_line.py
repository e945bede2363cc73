"""How the scripts speak: no start-up chatter, and bad input in one line with exit code 2."""

import contextlib
import os
import re
import sys
import tempfile

from pgtf.commands import fast_sort

# Notes (severity I) of TensorFlow's libraries, what absl says before the first of them, and what
# TensorFlow 2.18 calls an error although nothing is wrong.
_CHATTER = re.compile(
    rb"I\d{4} \d\d:|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[EW]\d{4} \d\d:.*Attempting to register factory"
)
# What Keras imports if it is installed, for wrappers and plots that no script uses: two seconds.
_UNUSED_BY_KERAS = ("matplotlib", "sklearn")


def prepare():
    """Sets up a process that runs a command; call it before NumPy or TensorFlow is imported."""
    fast_sort.choose()
    import_tensorflow_quietly()


def import_tensorflow_quietly():
    """Imports TensorFlow; what it says meanwhile is shown unless it is chatter.

    Some notes of TensorFlow 2.21 come before its settings are read (`TF_CPP_MIN_LOG_LEVEL`), and
    from libraries that write to the process's standard error directly.
    """
    hidden = [name for name in _UNUSED_BY_KERAS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: Keras finds them missing
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            for name in hidden:
                del sys.modules[name]
            os.dup2(shown, 2)
            os.close(shown)
            said.seek(0)
            for line in said:
                if not _CHATTER.match(line):
                    os.write(2, line)


@contextlib.contextmanager
def one_line_errors(kinds=(ValueError, OSError)):
    """Turns exceptions of these kinds into one line on standard error and exit code 2."""
    try:
        yield
    except kinds as error:
        message = " ".join(_describe(error).split()) or type(error).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _describe(error):
    """Returns the message; for a folder of images in place of a dataset, the command it needs."""
    from pgtf.dataset import NoDataset  # `prepare` must run before NumPy is imported
    from pgtf.dataset.sources.images import suggested_command

    if isinstance(error, NoDataset) and (command := suggested_command(error.path)):
        return f"{error.path}: holds images; make a dataset of them first: {command}"
    return str(error)
