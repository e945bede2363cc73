"""Destinations of log lines: the terminal, and log.txt in the run folder."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from absl import logging as absl_logging

from pgtf import images
from pgtf.foreign.terminal import PrintableFormatter


def to_terminal() -> None:
    """Sends log lines to standard output, without a prefix."""
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    absl_logging.set_verbosity(absl_logging.INFO)
    terminal = absl_logging.get_absl_handler().python_handler
    terminal.setFormatter(PrintableFormatter("%(message)s"))
    terminal.stream = sys.stdout


def to_file(path: Path) -> None:
    """Appends log lines, with the time, to a file as well.

    Logging raises OSError when the disk is full.
    """
    file = _LogFile(path)
    file.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    absl_logging.get_absl_logger().addHandler(file)


class _LogFile(logging.FileHandler):
    """Raises an error when the disk is full; `logging` would only print a traceback."""

    def _open(self) -> Any:
        return images.open_no_link(self.baseFilename, self.mode)

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # the exception that is being handled
