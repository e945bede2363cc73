"""Identity of a run: its configuration, and the content of its dataset rather than its path."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from pgtf import images
from pgtf.dataset import Dataset
from pgtf.dataset.fingerprint import agree, fingerprint
from pgtf.runs.interfaces import RunConfig

# Fields that decide the files of a run, but none of its numbers.
_OUTPUTS = (
    *("training.image_snapshot_ticks", "training.image_grid", "training.picture_budget_mb"),
    "training.network_snapshot_ticks",
)
# Images shown so far depend neither on the spelling of a path nor on how many images follow.
_IGNORED = ("dataset.path", "training.total_kimg", *_OUTPUTS)
IDENTITY_FILE = "identity.json"  # in a run folder: preset, dataset path and fingerprint


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
        return cls(os.path.realpath(dataset.path), fingerprint(dataset))

    @classmethod
    def from_json(cls, text: str | None, config: RunConfig) -> Source:
        """Reads the text of `to_json`; without it, takes the dataset path of a configuration."""
        try:
            fields = json.loads(text or "")
            return cls(str(fields["path"]), dict(fields["fingerprint"]))
        except (ValueError, KeyError, TypeError):
            return cls(os.path.realpath(config.dataset.path))

    def to_json(self) -> str:
        """Returns the text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    def is_same(self, other: Source) -> bool:
        """True if both hold the same images. Compares paths if a fingerprint is missing."""
        if self.fingerprint is None or other.fingerprint is None:
            return self.path == other.path
        return agree(self.fingerprint, other.fingerprint)


def differences(
    config: RunConfig, source: Source, new_config: RunConfig, new_source: Source
) -> list[str]:
    """Lists the changes that affect the numbers of a run, one line per difference.

    Ignores the spelling of the dataset's path, the length of training, and the intervals and sizes
    of pictures and snapshots.
    """
    changed = config.differences(new_config)
    lines = [line for line in changed if not _is_of(_IGNORED, line)]
    if source.is_same(new_source):
        return lines
    if source.path == new_source.path:
        return [f"the content of the dataset {source.path} was changed", *lines]
    return [f"dataset.path: {source.path!r} -> {new_source.path!r}", *lines]


def output_differences(config: RunConfig, new_config: RunConfig) -> list[str]:
    """Lists the changes that only affect pictures and snapshots, one line per difference."""
    return [line for line in config.differences(new_config) if _is_of(_OUTPUTS, line)]


def _is_of(names: tuple[str, ...], line: str) -> bool:
    """True if a line of `differences` is about one of these fields."""
    return line.partition(":")[0] in names


def store(folder: Path, preset: str | None, source: Source) -> None:
    """Writes the part of a run's identity that its configuration does not hold."""
    content = json.dumps({"preset": preset, **dataclasses.asdict(source)}, indent=2)
    images.write_atomically(folder / IDENTITY_FILE, content.encode())


def load(folder: Path) -> tuple[str | None, Source | None]:
    """Reads the preset and Source that `store` wrote; None for a run of an earlier version."""
    try:
        fields = json.loads(images.read_at_once(folder / IDENTITY_FILE))
        return fields["preset"], Source(fields["path"], dict(fields["fingerprint"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None, None
