"""Identity of a run: its configuration, and the content of its dataset rather than its path."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from pgtf import files
from pgtf.dataset import Dataset
from pgtf.dataset.fingerprint import agree, fingerprint
from pgtf.runs.interfaces import RunConfig

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

    Ignores the spelling of the dataset's path and the length of training: the images shown so far
    do not depend on how many follow.
    """
    same = {
        "dataset.path": new_config.dataset.path,
        "training.total_kimg": new_config.training.total_kimg,
    }
    lines = config.replace(same).differences(new_config)
    if source.is_same(new_source):
        return lines
    if source.path == new_source.path:
        return [f"the content of the dataset {source.path} was changed", *lines]
    return [f"dataset.path: {source.path!r} -> {new_source.path!r}", *lines]


def store(folder: Path, preset: str | None, source: Source) -> None:
    """Writes the part of a run's identity that its configuration does not hold."""
    content = json.dumps({"preset": preset, **dataclasses.asdict(source)}, indent=2)
    files.write_atomically(folder / IDENTITY_FILE, content.encode())


def load(folder: Path) -> tuple[str | None, Source | None]:
    """Reads the preset and Source that `store` wrote; None for a run of an earlier version."""
    try:
        fields = json.loads(files.read_at_once(folder / IDENTITY_FILE))
        return fields["preset"], Source(fields["path"], dict(fields["fingerprint"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None, None
