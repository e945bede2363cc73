"""Entry of the commands: flags before TensorFlow, one line for an error and for a signal."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pgtf.commands import compilation_cache
from pgtf.commands.programs import Program
from pgtf.distribution import signals
from pgtf.foreign.terminal import PrintableFormatter, brief, guard, printable
from pgtf.installation import OPTIONAL, PACKAGES, WITH_TENSORFLOW, missing, missing_message

# Notes (severity I) of TensorFlow's libraries, absl's line before the first of them, and a message
# that TensorFlow 2.18 calls an error although nothing is wrong.
_UNIMPORTANT = (
    rb"I\d{4} \d\d:|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[EW]\d{4} \d\d:.*Attempting to register factory"
)
OURS = ("pgtf", "metrics", "benchmarks", "tests", "serving")  # packages of a checkout
# Keras imports these packages if they are installed, for wrappers, plots and arrays that no
# script uses. Hiding them saves two seconds. A script that needs one of them imports it later.
_UNUSED_BY_KERAS = ("cv2", "matplotlib", "pandas", "scipy", "sklearn")


def run(program: Program, argv: Sequence[str]) -> None:
    """Runs a command.

    Its arguments are parsed without TensorFlow, which takes seconds to import: help and wrong flags
    are answered before. At any time a signal ends the process with one line. Nothing that it prints
    commands the terminal.

    Args:
        program: modules of the command.
        argv: name of the script or program, and the arguments.
    """
    guard()
    signals.exit_on_signals()
    with closed_output_ends_quietly(), missing_packages_reported():
        needed = {**PACKAGES, **(WITH_TENSORFLOW if program.tensorflow else {})}
        needed |= dict(zip(program.packages, program.packages, strict=True))
        check_packages(needed)
        prepare()
        arguments = importlib.import_module(program.flags).parse(argv)
        with _no_garbage_collection():
            if program.tensorflow:
                compilation_cache.choose()
                import_tensorflow_quietly()
            run_command = importlib.import_module(program.command).run
        try:
            with signals.stopped_by_signals():
                run_command(arguments)
        except KeyboardInterrupt as stop:
            signals.exit_after(stop)


def prepare() -> None:
    """Sets up a process that runs a command. Call it before NumPy is imported."""
    from pgtf.commands import fast_sort

    fast_sort.choose()
    _log_without_prefix()


def _log_without_prefix() -> None:
    """Makes log lines, warnings among them, as plain as what is printed."""
    from absl import flags
    from absl import logging as absl_logging

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(sys.argv[:1])  # absl's log handler reads its own flags.
    absl_logging.use_absl_handler()
    formatter = PrintableFormatter("%(message)s")
    absl_logging.get_absl_handler().python_handler.setFormatter(formatter)


def check_packages(packages: Mapping[str, str] = PACKAGES | WITH_TENSORFLOW) -> None:
    """Exits with one line if a package is missing, which may be needed after hours only.

    Args:
        packages: packages by the module that is imported.
    """
    if absent := missing(packages):
        _exit_without([packages[name] for name in absent])


@contextlib.contextmanager
def missing_packages_reported() -> Iterator[None]:
    """Context manager that turns the failed import of a package into one line and exit code 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OURS:
            raise
        required = PACKAGES | WITH_TENSORFLOW
        top = error.name.partition(".")[0]
        absent = [required[name] for name in missing(required)] if top in required else []
        if absent:
            _exit_without(absent)
        _exit_without([(required | OPTIONAL).get(top, top)], error.name)


def _exit_without(packages: Sequence[str], module: str | None = None) -> NoReturn:
    print(f"error: {missing_message(packages, module)}", file=sys.stderr)
    sys.exit(2)


def announce_tensorflow(stream: Any = None) -> None:
    """Says that TensorFlow is imported next, which takes seconds.

    Args:
        stream: file to print to; None = standard output.
    """
    if "tensorflow" not in sys.modules:
        print("Loading TensorFlow ...", file=stream, flush=True)


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow, and shows its messages except the unimportant ones.

    TensorFlow 2.21 writes some notes before it reads `TF_CPP_MIN_LOG_LEVEL`, from libraries that
    use the process's standard error directly.
    """
    import re
    import tempfile

    hidden = [name for name in _UNUSED_BY_KERAS if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))  # None makes an import fail.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            with missing_packages_reported():
                import tensorflow  # noqa: F401
        finally:
            for name in hidden:
                del modules[name]
            os.dup2(shown, 2)
            os.close(shown)
            said.seek(0)
            for line in said:
                if not re.match(_UNIMPORTANT, line):
                    os.write(2, line)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Context manager for imports, which make a million objects and almost no garbage.

    Looking for it again and again takes a quarter of the time. Afterwards all objects so far are
    left alone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


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
        print(f"error: {line_of(error)}", file=sys.stderr)
        sys.exit(2)


def line_of(error: BaseException) -> str:
    """Describes an error in one line, which no content of a file can make long or change."""
    return brief(printable(" ".join(_message(error).split()))) or type(error).__name__


def _message(error: BaseException) -> str:
    """Returns the message: of the system's errors the file and the reason, without a number.

    For a folder of images in place of a dataset, it names the command that this needs.
    """
    from pgtf.dataset import NoDataset  # `prepare` must run before NumPy is imported
    from pgtf.dataset.sources.images import suggested_command

    if isinstance(error, OSError) and error.strerror:
        names = " to ".join(str(x) for x in (error.filename, error.filename2) if x is not None)
        reason = error.strerror[0].lower() + error.strerror[1:]
        return f"{names}: {reason}." if names else error.strerror
    if not isinstance(error, NoDataset) or error.datasets:
        return str(error)
    if command := suggested_command(error.path):
        return f"{error.path}: holds images; make a dataset of them first: {command}"
    return str(error)
