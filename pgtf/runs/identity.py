"""Identity of a run: configuration by value, dataset by content, and the networks it began with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from pgtf import files
from pgtf.dataset import Dataset
from pgtf.dataset.fingerprint import agree, difference, seen_by_networks
from pgtf.foreign.files import NotRegular
from pgtf.foreign.json_files import SMALL_BYTES, parse_json, read_json
from pgtf.foreign.schema import Count, read_as
from pgtf.runs.interfaces import RunConfig

# Fields that decide the files of a run, but none of its numbers.
_OUTPUTS = (
    *("training.image_snapshot_ticks", "training.image_grid", "training.picture_budget_mb"),
    "training.network_snapshot_ticks",
)
# Images shown so far depend neither on the spelling of a path nor on how many images follow.
_IGNORED = ("dataset.path", "training.total_kimg", *_OUTPUTS)
IDENTITY_FILE = "identity.json"  # in a run folder: what its configuration does not hold


@dataclasses.dataclass(frozen=True)
class Source:
    """The dataset of a run.

    Attributes:
        path: absolute, without links.
        fingerprint: {part: hash}, or None if unknown, as for runs of an earlier version.
    """

    path: str
    fingerprint: dict[str, str] | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> Source:
        """Describes an opened dataset."""
        return cls(os.path.realpath(dataset.path), seen_by_networks(dataset))

    @classmethod
    def from_json(cls, text: str | None, config: RunConfig, source: str) -> Source:
        """Reads the text of `to_json`; without it, takes the dataset path of a configuration.

        Raises:
            ValueError: if it is another text; the message begins with `source`.
        """
        if text is None:
            return cls(os.path.realpath(config.dataset.path))
        found: Source = read_as(cls, parse_json(text, source, max_bytes=SMALL_BYTES), source)
        return found

    def to_json(self) -> str:
        """Returns the text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    def is_same(self, other: Source) -> bool:
        """True if networks see the same images. Compares paths if a fingerprint is missing."""
        if self.fingerprint is None or other.fingerprint is None:
            return self.path == other.path
        return agree(self.fingerprint, other.fingerprint)

    def is_near(self, other: Source) -> bool:
        """True if both hold the same images, or lie in the same place."""
        return self.path == other.path or self.is_same(other)


@dataclasses.dataclass(frozen=True)
class Beginning:
    """The networks that a run began with: new ones, or those of a file."""

    sha256: str | None = None  # of the file; None = new networks
    nimg: Count = 0  # images that the networks had seen
    file: str | None = None  # its path then

    @classmethod
    def of(cls, path: str | os.PathLike[str], nimg: int) -> Beginning:
        """Describes the networks of a file."""
        return cls(
            hashlib.sha256(Path(path).read_bytes()).hexdigest(), nimg, os.path.realpath(path)
        )

    @property
    def is_new(self) -> bool:
        """True for new networks."""
        return self.sha256 is None

    def is_same(self, other: Beginning) -> bool:
        """True if both are new networks, or those of a file of the same content at one age."""
        return (self.sha256, self.nimg) == (other.sha256, other.nimg)

    def __str__(self) -> str:
        return "new ones" if self.is_new else f"{self.file} at {self.nimg / 1000:g} kimg"


NEW_NETWORKS = Beginning()


@dataclasses.dataclass(frozen=True)
class Identity:
    """Everything that two commands must have in common to mean one run.

    Attributes:
        config: whole configuration, made for the dataset.
        source: dataset.
        beginning: networks that the run began with, None if unknown, as for runs of an earlier
            version.
        mirror_is_default: True if nobody stated mirror_augment. A stored run keeps its own value.
        former: for each earlier version of the preset, its values of fields that differ now and
            that nobody stated, by dotted name. A stored run that has all values of a version began
            then, and keeps them.
    """

    config: RunConfig
    source: Source
    beginning: Beginning | None = None
    mirror_is_default: bool = False
    former: Sequence[Mapping[str, Any]] = ()

    @property
    def num_nimg(self) -> int:
        """Length of training in images."""
        return math.ceil(self.config.training.total_kimg * 1000)

    def config_in(self, stored: Identity) -> RunConfig:
        """Returns the configuration with which this command continues a stored run."""
        config = self.config
        if self.mirror_is_default:
            mirror = stored.config.dataset.mirror_augment
            config = config.replace({"dataset.mirror_augment": mirror})
        versions = [config]
        for values in self.former:
            before = config.replace(values)
            lines = stored.config.differences(before)
            if not any(_is_of(tuple(values), line) for line in lines):
                versions.append(before)
        # A version may have the stored values in all its fields because it has few.
        return min(versions, key=lambda version: len(stored.config.differences(version)))


def differences(stored: Identity, asked: Identity) -> list[str]:
    """Lists what makes a command mean another run than the stored one; [] if it means that run.

    These differences change no number of the images shown so far, and count for nothing: the length
    of training, place and spelling of the dataset, intervals and sizes of pictures and snapshots,
    mirror_augment if only the dataset's default was another one, and that the file of the first
    networks is not named again.
    """
    changed = stored.config.differences(asked.config_in(stored))
    lines = [line for line in changed if not _is_of(_IGNORED, line)]
    before, after = stored.beginning, asked.beginning
    if before is not None and after is not None and not (after.is_new or after.is_same(before)):
        lines = [f"the networks at the start: {before} -> {after}", *lines]
    if stored.source.is_same(asked.source):
        return lines
    reason = "the run has no record of its images"
    if stored.source.fingerprint and asked.source.fingerprint:
        reason = difference(stored.source.fingerprint, asked.source.fingerprint)
    if stored.source.path == asked.source.path:
        return [f"the content of the dataset {stored.source.path} was changed: {reason}", *lines]
    return [f"dataset.path: {stored.source.path!r} -> {asked.source.path!r} ({reason})", *lines]


def output_differences(stored: Identity, asked: Identity) -> list[str]:
    """Lists the changes that only affect pictures and snapshots, one line per difference."""
    return [line for line in stored.config.differences(asked.config) if _is_of(_OUTPUTS, line)]


def _is_of(names: tuple[str, ...], line: str) -> bool:
    """True if a line of `differences` is about one of these fields."""
    return line.partition(":")[0] in names


class Record(NamedTuple):
    """The part of a stored run's identity that its configuration does not hold; None = unknown."""

    preset: str | None = None
    source: Source | None = None
    beginning: Beginning | None = None


class _Stored(TypedDict, total=False):
    """The fields of the file."""

    preset: str | None
    path: str
    fingerprint: dict[str, str] | None
    start: Beginning | None


def store(folder: Path, record: Record) -> None:
    """Writes the identity of a run beside its configuration."""
    fields: dict[str, Any] = {"preset": record.preset}
    if record.source is not None:
        fields |= dataclasses.asdict(record.source)
    if record.beginning is not None:
        fields["start"] = dataclasses.asdict(record.beginning)
    files.write_atomically(folder / IDENTITY_FILE, json.dumps(fields, indent=2).encode())


def load(folder: Path) -> Record:
    """Reads what `store` wrote; all of it is unknown for a run of an earlier version.

    Raises:
        OSError: if it cannot be read now.
        ValueError: if it is damaged; names the field.
    """
    path = folder / IDENTITY_FILE
    remedy = "Restore it, or remove it: the run then counts as one without a record of its images."
    try:
        fields = read_json(path, max_bytes=SMALL_BYTES)
    except (FileNotFoundError, NotADirectoryError, NotRegular):
        return Record()
    except ValueError as error:
        raise ValueError(f"{error} {remedy}") from None
    found: _Stored = read_as(_Stored, fields, str(path), remedy)
    source = None
    if "path" in found and (parts := found.get("fingerprint")) is not None:
        source = Source(found["path"], parts)
    return Record(found.get("preset"), source, found.get("start"))
