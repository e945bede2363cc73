"""Identity of a run: its configuration, and the content of its dataset rather than its path."""

import dataclasses
import json
import os

from pgtf import images
from pgtf.dataset.fingerprint import agree, fingerprint

IDENTITY_FILE = "identity.json"  # in a run folder: preset, path and fingerprint of the dataset


@dataclasses.dataclass(frozen=True)
class Source:
    """The dataset of a run.

    Attributes:
        path: absolute, without links.
        fingerprint: {part: hash}, or None if it is not known, as for runs of an earlier version.
    """

    path: str
    fingerprint: dict[str, str] | None = None

    @classmethod
    def of(cls, dataset):
        """Describes an opened dataset."""
        return cls(os.path.realpath(dataset.path), fingerprint(dataset))

    @classmethod
    def from_json(cls, text, config):
        """Reads what `to_json` wrote; without text it is the path of a configuration."""
        try:
            fields = json.loads(text)
            return cls(str(fields["path"]), dict(fields["fingerprint"]))
        except (ValueError, KeyError, TypeError):
            return cls(os.path.realpath(config.dataset.path))

    def to_json(self):
        """Text for `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    def is_same(self, other):
        """True if both hold the same images; judged by the path if a fingerprint is missing."""
        if self.fingerprint is None or other.fingerprint is None:
            return self.path == other.path
        return agree(self.fingerprint, other.fingerprint)


def differences(config, source, new_config, new_source):
    """Lists what was changed and decides numbers, one line per difference.

    Neither the spelling of the dataset's path nor the length of training is among them: what
    happens to an image does not depend on how many follow.
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


def store(folder, preset, source):
    """Writes the identity of a run that its configuration does not tell."""
    content = json.dumps({"preset": preset, **dataclasses.asdict(source)}, indent=2)
    images.write_atomically(folder / IDENTITY_FILE, content.encode())


def load(folder):
    """Reads what `store` wrote: -> (preset, Source), both None for a run of an earlier version."""
    try:
        fields = json.loads((folder / IDENTITY_FILE).read_text())
        return fields["preset"], Source(fields["path"], dict(fields["fingerprint"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None, None
