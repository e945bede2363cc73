"""A folder that holds no dataset, but perhaps folders that do."""

from __future__ import annotations

import contextlib
import os
import re

from pgtf.dataset.journal import JOURNAL
from pgtf.files import entries
from pgtf.installation import spelled

RECORDS_NAME = re.compile(r"(?P<name>.+)-r(?P<log2>\d\d)\.tfrecords", re.DOTALL)
MAX_LISTED = 12  # datasets in an error


class NoDataset(ValueError):
    """A folder holds no dataset.

    Attributes:
        path: the folder.
        datasets: names of the folders in it that do, sorted.
    """

    def __init__(self, path: str):
        super().__init__(path)
        self.path = path
        self.datasets = _datasets_in(path)

    def __str__(self) -> str:
        if self.datasets:
            return self.choose("choose one, for example ")
        return (
            f"{self.path}: no dataset in it, no file NAME-rLL.tfrecords. "
            f"{spelled('Create it with dataset_tool.py.')}"
        )

    def choose(self, before: str) -> str:
        """Describes the datasets in the folder, and how to name one.

        Args:
            before: text before a dataset's path, such as a flag.
        """
        more = ", ..." if len(self.datasets) > MAX_LISTED else ""
        return (
            f"{self.path} holds the datasets {', '.join(self.datasets[:MAX_LISTED])}{more}: "
            f"{before}{os.path.join(self.path, self.datasets[0])}"
        )


def is_hidden(name: str) -> bool:
    """True for names that begin with a dot, those of files that macOS adds (._NAME) among them."""
    return name.startswith(".")


def _datasets_in(path: str) -> tuple[str, ...]:
    """Names of the folders in a folder that hold record files."""
    found = []
    with contextlib.suppress(OSError):
        for entry in entries(path):
            if entry.is_dir() and not is_hidden(entry.name) and _holds_records(entry.path):
                found.append(entry.name)
    return tuple(sorted(found))


def _holds_records(path: str) -> bool:
    with contextlib.suppress(OSError):
        names = [entry.name for entry in entries(path)]
        return JOURNAL not in names and any(map(RECORDS_NAME.fullmatch, names))
    return False
