"""What became of each image: outcomes, the table at the end, celebahq-report.csv."""

from __future__ import annotations

import collections
import csv
import dataclasses
import enum
import io
import os
from collections.abc import Iterable, Sequence

from pgtf.dataset.celebahq.inputs import Row
from pgtf.dataset.journal import CAREFULLY
from pgtf.images import write_atomically

REPORT_FILE = "celebahq-report.csv"
COLUMNS = ("idx", "orig_idx", "orig_file", "outcome", "detail")


class Outcome(enum.Enum):
    """What became of an image. All but the first two are left out of the dataset."""

    OK = "ok"
    TOLERATED = "pixels differ, kept"
    JPEG_DIFFERS = "JPEG differs"
    DELTA_DAMAGED = "delta damaged"
    PIXELS_DIFFER = "pixels differ"
    FINAL_DIFFERS = "final differs"
    MISSING = "missing"


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of one image."""

    row: Row
    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.row.orig_file} (idx {self.row.idx}): {self.outcome.value}: {self.detail}"

    def line(self) -> str:
        """A line of the report."""
        buffer = io.StringIO()
        row = self.row
        values = row.idx, row.orig_idx, row.orig_file, self.outcome.value, self.detail
        csv.writer(buffer, lineterminator="\n").writerow(values)
        return buffer.getvalue()


def append_result(path: str, result: Result) -> None:
    """Adds an outcome to a report in the making; several processes may do so at once."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | CAREFULLY, 0o644)
    try:
        # A line break comes first as well: the line before may have been cut by a crash.
        os.write(descriptor, f"\n{result.line()}".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finish_report(path: str, rows: Iterable[Row]) -> list[Result]:
    """Sorts a report by `idx`, each image once, and gives it a header.

    An interrupted job makes its last images again, so that they may stand in it twice.
    """
    found = {}
    with open(path, encoding="utf-8", newline="") as file:
        for line in csv.reader(file):
            if len(line) == len(COLUMNS) and line[0].isdecimal():
                found[int(line[0])] = Outcome(line[3]), line[4]
    results = [Result(row, *found[row.idx]) for row in rows if row.idx in found]
    header = ",".join(COLUMNS) + "\n"
    write_atomically(path, (header + "".join(result.line() for result in results)).encode())
    return results


def table(results: Sequence[Result]) -> str:
    """Counts of the outcomes, one per line, those that occur."""
    counts = collections.Counter(result.outcome for result in results)
    return "\n".join(
        f"{outcome.value:<20} {counts[outcome]:>6}" for outcome in Outcome if counts[outcome]
    )
