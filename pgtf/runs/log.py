"""Destinations of log lines: the terminal, and log.txt in the run folder."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from absl import logging as absl_logging

from pgtf import files
from pgtf.foreign.terminal import PrintableFormatter


def to_terminal() -> None:
    """Sends log lines to standard output, without a prefix."""
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    absl_logging.set_verbosity(absl_logging.INFO)
    terminal = absl_logging.get_absl_handler().python_handler
    terminal.setFormatter(PrintableFormatter("%(message)s"))
    terminal.stream = sys.stdout


@contextlib.contextmanager
def printed(level: int = logging.INFO) -> Iterator[None]:
    """Context manager that prints log lines of at least a level, in a process that is not ours.

    It uses no flag of absl and leaves no handler behind. Texts of several lines, such as the
    configuration, are for log.txt only.
    """
    logger, handler = logging.getLogger("absl"), _Printer(level)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False  # A handler of the user's would repeat each line.
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.level, logger.propagate = before
        for ours in [x for x in logger.handlers if isinstance(x, _Printer | _LogFile)]:
            logger.removeHandler(ours)


class _Printer(logging.Handler):
    """Prints lines to the present standard output: a notebook gives every cell its own."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if "\n" not in text:
            print(text, flush=True)


def to_file(path: Path) -> None:
    """Appends log lines, with the time, to a file as well, and no longer to that of another run.

    Logging raises OSError when the disk is full.
    """
    file = _LogFile(path)
    file.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    logger = absl_logging.get_absl_logger()
    for previous in [x for x in logger.handlers if isinstance(x, _LogFile)]:
        logger.removeHandler(previous)
    logger.addHandler(file)


class _LogFile(logging.Handler):
    """Opens the file for each line, because a handle of a network file system may go stale."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._is_writing = path, False
        files.open_no_link(path, "a").close()  # Raises errors now.

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_writing:  # A line about this very file, which is being tried again.
            return
        self._is_writing = True
        try:
            files.append_line(self._path, self.format(record), sync=False)
        except FileNotFoundError:
            pass  # The folder was moved. Whatever the run writes next will fail and say so.
        finally:
            self._is_writing = False
