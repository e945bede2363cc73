"""Compares a reference set with its manifest, and with what the network makes on this machine."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from tqdm import tqdm

from pgtf.export.samples import MAX_IMAGES, MAX_SEED
from pgtf.export.source import Source
from pgtf.foreign.files import open_regular
from pgtf.foreign.json_files import read_lines
from pgtf.foreign.limits import MAX_FILE_BYTES
from pgtf.foreign.pictures import open_picture
from pgtf.foreign.schema import Between, read_as, resolved
from pgtf.publish.fakeset import FAKES, FORMAT, GROUP, VERSION, fakes

MAX_BYTES = 2**30  # a manifest may have
MAX_LEVELS = 1  # machines may differ by so many of 255
MAX_NAMED = 3  # files that a message names
_NAME = re.compile(r"(fakes|reals)/\d{5,15}/(seed|real)\d{7,18}\.png")


class _Header(TypedDict):
    """The fields of the first line that are used here."""

    format: str
    version: int
    network: str
    lod: Annotated[float, Between(0, 32)]
    label: list[float] | None


class _File(TypedDict, total=False):
    """One file."""

    file: str
    seed: Annotated[int, Between(0, MAX_SEED)]
    sha256: str


_HEADER, _FILE = map(resolved, (_Header, _File))


@dataclasses.dataclass
class Report:
    """The result of a check."""

    num: int = 0  # files
    changed: list[str] = dataclasses.field(default_factory=list)  # other bytes, or missing
    num_generated: int = 0
    levels: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    far: list[str] = dataclasses.field(default_factory=list)  # more than MAX_LEVELS off

    @property
    def sentences(self) -> list[str]:
        """The result in words."""
        found = [f"{self.num} files, {self.num - len(self.changed)} with the manifest's bytes"]
        if self.num_generated:
            largest = max(self.levels)
            found.append(
                f"{self.num_generated} generated again, {self.levels[0]} with the same pixels; "
                f"the largest difference is {largest} of 255 gray levels"
            )
        return found


def check(manifest: Path, source: Source | None) -> Report:
    """Compares files with a manifest, and with the images of a network.

    Args:
        manifest: manifest.jsonl of a set; its files lie beside it.
        source: the network; None = compare the bytes alone.

    Raises:
        OSError: the manifest cannot be read.
        ValueError: it is damaged, or of another network.
    """
    lines = iter(read_lines(manifest, max_bytes=MAX_BYTES, max_lines=2 * MAX_IMAGES + 1))
    first = next(lines, None)
    if first is None or first.is_torn:
        raise ValueError(f"{manifest}: must be a manifest of fakeset. It has no complete line.")
    header = read_as(_HEADER, first.value, str(manifest))
    if (header["format"], header["version"]) != (FORMAT, VERSION):
        raise ValueError(f"{manifest}: must be a manifest of fakeset, version {VERSION}.")
    if source is not None and source.sha256 != header["network"]:
        raise ValueError(
            f"{manifest}: was made by the network {header['network'][:16]}..., and {source.path} "
            f"is {source.sha256[:16]}... (SHA-256 of the weights)."
        )
    report = Report()
    group: list[tuple[str, int]] = []  # names and seeds of one aligned group
    for line in tqdm(lines, unit="file", disable=None):
        entry = _entry(line.value, line.place)
        if not _has_hash(manifest.parent / entry["file"], entry["sha256"]):
            report.changed.append(entry["file"])
        report.num += 1
        if source is None or not entry["file"].startswith(FAKES):
            continue
        seed = entry["seed"]
        if group and seed // GROUP != group[0][1] // GROUP:
            _compare(source, header, manifest.parent, group, report)
            group = []
        group.append((entry["file"], seed))
    if source is not None and group:
        _compare(source, header, manifest.parent, group, report)
    return report


def _entry(value: Any, place: str) -> Any:
    """Reads one line. Raises ValueError if it is damaged, or names a file elsewhere."""
    entry = read_as(_FILE, value, place)
    if not _NAME.fullmatch(entry.get("file", "")) or "sha256" not in entry:
        raise ValueError(f"{place}: must name a file of the set and its SHA-256.")
    if entry["file"].startswith(FAKES) and "seed" not in entry:
        raise ValueError(f"{place}: must name the seed.")
    return entry


def _has_hash(path: Path, expected: str) -> bool:
    try:
        with open_regular(path) as file:
            return hashlib.sha256(file.read(MAX_FILE_BYTES)).hexdigest() == expected
    except OSError:
        return False


def _compare(
    source: Source, header: Any, folder: Path, group: list[tuple[str, int]], report: Report
) -> None:
    """Generates a group of images again and compares their pixels."""
    given = header["label"]
    label = None if given is None else np.array(given, np.float32)
    if label is not None and len(label) != source.label_size:
        raise ValueError(
            f"{folder}: the label of the manifest must have {source.label_size} numbers, as the "
            f"network. Received: {len(label)}. Name the network that made the set."
        )
    names = {seed: name for name, seed in group}
    seeds = range(min(names), max(names) + 1)
    for seed, _, expected in fakes(source, seeds, header["lod"], label):
        if seed not in names:
            continue
        off = _difference(folder / names[seed], expected)
        report.num_generated += 1
        report.levels[off] += 1
        if off > MAX_LEVELS:
            report.far.append(names[seed])


def _difference(path: Path, expected: np.ndarray) -> int:
    """Computes the largest difference of the pixels of a file; 255 if it is no such picture."""
    try:
        with open_picture(path) as picture:
            found = np.asarray(picture.convert("L" if expected.shape[2] == 1 else "RGB"))
    except (OSError, ValueError):
        return 255
    if found.size != expected.size:
        return 255
    return int(np.abs(found.reshape(expected.shape).astype(int) - expected).max())
