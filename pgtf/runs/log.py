"""Where log lines go: to the terminal, and into the run folder."""

import logging
import sys

from absl import logging as absl_logging

from pgtf import images


def to_terminal():
    """Sends log lines to standard output as they are."""
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    absl_logging.set_verbosity(absl_logging.INFO)
    terminal = absl_logging.get_absl_handler().python_handler
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.stream = sys.stdout


def to_file(path):
    """Sends log lines, with the time, to a file too; OSError when the disk is full."""
    file = _LogFile(path)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    absl_logging.get_absl_logger().addHandler(file)


class _LogFile(logging.FileHandler):
    """Fails on a full disk like every other file, where `logging` only prints a traceback."""

    def _open(self):
        return images.open_no_link(self.baseFilename, self.mode)

    def handleError(self, record):
        raise  # what is being handled
