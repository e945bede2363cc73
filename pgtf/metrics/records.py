"""metric-NAME.jsonl: one line per value that was measured, with everything it depends on."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pgtf import files
from pgtf.foreign.json_files import read_lines
from pgtf.foreign.schema import Between, Count, Real, read_as

Record = dict[str, Any]

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow")
# Values cannot be compared if their records differ in one of these or in a `network_fields`.
COMPARABLE = (
    *("num_images", "num_reals", "evaluations", "order", "pairing", "seed"),
    *("reals", "mirror", "grid", "channels"),
)
_SNAPSHOT = re.compile(r"network-snapshot-(\d+)\.h5")


class _Stored(TypedDict, total=False):
    """The fields of a record that are used again; there may be more."""

    metric: str
    snapshot: str
    kimg: Annotated[float, Between(0, 1e15)] | None
    nimg: Count
    num_images: Count
    num_reals: Count | None
    evaluations: Count
    order: str
    reals: str
    reals_notes: dict[str, Any]
    seed: int
    mode: str
    value: Real
    values: dict[str, Real]


def versions() -> dict[str, str]:
    """Versions of the software that the values depend on: {"python": "3.12.1", ...}."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def now() -> str:
    """Current time in UTC: "2026-11-22T19:15:24+00:00"."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def kimg_of(path: str | os.PathLike[str]) -> int | None:
    """Reads thousands of images from the name of a snapshot; None for another file."""
    match = _SNAPSHOT.fullmatch(Path(path).name)
    return int(match[1]) if match else None


def path_of(folder: str | os.PathLike[str], metric: str) -> Path:
    """Path of a metric's records."""
    return Path(folder) / f"metric-{metric}.jsonl"


def append(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Adds a record to the file of its metric, in one write that is synced to the disk."""
    files.append_line(path_of(folder, record["metric"]), json.dumps(record))


def replace(
    folder: str | os.PathLike[str], record: Mapping[str, Any], key: Mapping[str, Any]
) -> None:
    """Adds a record in place of those of its metric that match `key`."""
    path = path_of(folder, record["metric"])
    found = load(folder, record["metric"])
    kept = [json.dumps(other) for other in found if not matches(other, key)]
    if len(kept) < len(found):
        lines = [*kept, json.dumps(record)]
        files.write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    else:
        append(folder, record)


def load(folder: str | os.PathLike[str], metric: str) -> list[Record]:
    """Reads all records of a metric in a folder, oldest first; a torn line is left out.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is damaged or no record; the message names file, line and field.
    """
    remedy = "Correct or delete the line."
    found = []
    for line in read_lines(path_of(folder, metric), allow_nan=True):
        if not line.is_torn:
            read_as(_Stored, line.value, line.place, remedy)
            found.append(line.value)  # as it was written, because `replace` writes it again
    return found


def of_snapshot(path: str | os.PathLike[str]) -> dict[str, Record]:
    """Reads the last record of each metric that was measured for a snapshot: {"fid": {...}}.

    Those of one label, or of images that training never saw, do not describe the snapshot.
    """
    path = Path(path)
    found: dict[str, Record] = {}
    for file in sorted(path.parent.glob(path_of("", "*").name)):
        name = file.stem.removeprefix("metric-")
        for record in load(path.parent, name):
            is_part = "label" in record or "split" in record.get("reals_notes", {})
            if record.get("snapshot") == path.name and not is_part:
                found[name] = record
    return found


def numbers(record: Mapping[str, Any]) -> str:
    """Formats the numbers of images of a record: "2000 fakes, 400 reals"; "? fakes" if unknown."""
    sets, num_images = record.get("evaluations", 1), record.get("num_images", "?")
    fakes = f"{sets} x {num_images} fakes" if sets > 1 else f"{num_images} fakes"
    return f"{fakes}, {record['num_reals']} reals" if record.get("num_reals") else fakes


def matches(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """True if a record has all these fields."""
    return all(record.get(name) == value for name, value in wanted.items())
