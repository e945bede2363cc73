"""The outcome of each image: celebahq-report.csv, and the table printed at the end."""

from __future__ import annotations

import collections
import csv
import dataclasses
import enum
import io
from collections.abc import Iterable, Sequence

from pgtf.dataset.appending import append_line
from pgtf.dataset.celebahq.inputs import Row
from pgtf.files import write_atomically
from pgtf.foreign.files import read_text

REPORT_FILE = "celebahq-report.csv"
MAX_BYTES = 1 << 28  # 30,000 lines have 3 MB; those of the last images come again after a crash
COLUMNS = ("idx", "orig_idx", "orig_file", "outcome", "detail")


class Outcome(enum.Enum):
    """The outcome of an image. The dataset contains only images with the first two outcomes."""

    OK = "ok"
    TOLERATED = "pixels differ, kept"
    JPEG_DIFFERS = "JPEG differs"
    DELTA_DAMAGED = "delta damaged"
    PIXELS_DIFFER = "pixels differ"
    FINAL_DIFFERS = "final differs"
    MISSING = "missing"


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of one image, with an explanation."""

    row: Row
    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.row.orig_file} (idx {self.row.idx}): {self.outcome.value}: {self.detail}"

    def line(self) -> str:
        """The result as a line of the report, without a line break."""
        buffer = io.StringIO()
        row = self.row
        values = row.idx, row.orig_idx, row.orig_file, self.outcome.value, self.detail
        csv.writer(buffer, lineterminator="").writerow(values)
        return buffer.getvalue()


def append_result(path: str, result: Result) -> None:
    """Appends a result to a report, for which several processes may call this at the same time."""
    append_line(path, result.line())


def finish_report(path: str, rows: Iterable[Row]) -> list[Result]:
    """Sorts a report by `idx`, removes duplicates and adds a header; returns its results.

    A resumed job makes its last images again, so that the report may have two lines for each.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read or written.
    """
    found = {}
    try:
        for line in csv.reader(io.StringIO(read_text(path, MAX_BYTES), newline="")):
            if len(line) == len(COLUMNS) and line[0].isdecimal():
                found[int(line[0])] = Outcome(line[3]), line[4]
    except (ValueError, csv.Error) as error:
        what = str(error).removeprefix(f"{path}: ").rstrip(".")
        raise ValueError(f"{path}: damaged ({what}). Delete its folder and begin anew.") from None
    results = [Result(row, *found[row.idx]) for row in rows if row.idx in found]
    lines = [",".join(COLUMNS), *(result.line() for result in results)]
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return results


def table(results: Sequence[Result]) -> str:
    """Counts the outcomes that occur: one line each."""
    counts = collections.Counter(result.outcome for result in results)
    return "\n".join(
        f"{outcome.value:<20} {counts[outcome]:>6}" for outcome in Outcome if counts[outcome]
    )
