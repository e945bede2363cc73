"""metric-NAME.jsonl: a line for every value that was measured, with all that it follows from."""

import datetime
import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

from pgtf import images

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow")
# Values of records that differ in one of these cannot be compared.
COMPARABLE = ("num_images", "seed", "reals", "mode", "inception_sha256", "classifier_sha256")
_SNAPSHOT = re.compile(r"network-snapshot-(\d+)\.h5")


def versions():
    """Versions of the software that the values depend on: {"python": "3.12.1", ...}."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def now():
    """The time in UTC: "2026-11-22T19:15:24+00:00"."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def kimg_of(path):
    """Thousands of images in the name of a snapshot, or None for another file."""
    match = _SNAPSHOT.fullmatch(Path(path).name)
    return int(match[1]) if match else None


def path_of(folder, metric):
    """The file of a metric's records."""
    return Path(folder) / f"metric-{metric}.jsonl"


def append(folder, record):
    """Adds a record to the file of its metric, in one write that is synced to the disk."""
    with images.open_no_link(path_of(folder, record["metric"]), "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        after_torn_line = b"\n" if file.read() not in (b"", b"\n") else b""
        file.write(after_torn_line + json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def load(folder, metric):
    """All records of a metric in a folder, oldest first; a torn line is left out."""
    path = path_of(folder, metric)
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in found if isinstance(record, dict)]


def of_snapshot(path):
    """The last record of every metric that was measured of a snapshot: {"fid": {...}}."""
    path, found = Path(path), {}
    for file in sorted(path.parent.glob(path_of("", "*").name)):
        name = file.stem.removeprefix("metric-")
        for record in load(path.parent, name):
            if record.get("snapshot") == path.name:
                found[name] = record
    return found


def matches(record, wanted):
    """Whether a record has all these fields."""
    return all(record.get(name) == value for name, value in wanted.items())
