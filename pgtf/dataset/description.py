"""dataset.json: facts about a dataset that the original's files do not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pgtf.foreign.json_files import read_json

META_FILE = "dataset.json"  # The original's folders have none.
META_FORMAT = 1
MAX_NUMBER = 1 << 63  # of images, pixels or channels
# Original release, config.py: the datasets whose line sets train.mirror_augment.
MIRRORED_NAMES = re.compile(r"celebahq|celeba|lsun-.+-100k")


def read_description(path: str) -> dict[str, Any]:
    """Reads the dataset.json of a dataset folder; {} if there is none.

    Raises:
        ValueError: the file is damaged, or a field has a wrong type.
    """
    try:
        meta: Any = read_json(f"{path}/{META_FILE}")
    except FileNotFoundError:
        return {}
    if not isinstance(meta, dict):
        raise ValueError(f"{path}/{META_FILE}: must hold a JSON object.")
    label_names = meta.get("label_names", [])
    if not isinstance(label_names, list) or not all(isinstance(x, str) for x in label_names):
        raise ValueError(f"{path}/{META_FILE}: `label_names` must be a list of strings.")
    if not isinstance(mirror := meta.get("mirror", False), bool):
        raise ValueError(
            f"{path}/{META_FILE}: `mirror` must be true or false. "
            f"Received: {json.dumps(mirror)[:80]}."
        )
    for name in ("num_images", "resolution", "num_channels"):
        if type(number := meta.get(name, 1)) is not int or not 0 < number < MAX_NUMBER:
            raise ValueError(f"{path}/{META_FILE}: `{name}` must be a number from 1.")
    version = meta.get("format", META_FORMAT)
    if type(version) is not int or not 1 <= version <= META_FORMAT:
        raise ValueError(
            f"{path}/{META_FILE}: `format` must be 1 to {META_FORMAT}. "
            f"Received: {json.dumps(version)[:80]}. "
            "A newer version of this program may have made it."
        )
    return meta


def default_mirror(names: Sequence[str], meta: Mapping[str, Any]) -> bool:
    """Default of mirror_augment: `mirror` in dataset.json, or the original's for these names.

    Args:
        names: name of the folder, and that of its files, which stays when the folder is renamed,
            moved or reached by a link.
        meta: content of dataset.json.
    """
    return bool(meta.get("mirror", _mirrored(names)))


def mirror_source(path: str, names: Sequence[str], meta: Mapping[str, Any]) -> str:
    """Describes in a few words the source of `default_mirror`."""
    if "mirror" in meta:
        return f"the default in {path}/{META_FILE}"
    if name := _mirrored(names):
        return f"the original release's default for a dataset named {name}"
    return (
        f"the default for a dataset named {names[0]}: the original release mirrors celebahq, "
        "celeba and lsun-*-100k"
    )


def _mirrored(names: Sequence[str]) -> str | None:
    """Returns the first of the names that the original release mirrors."""
    return next(filter(MIRRORED_NAMES.fullmatch, names), None)
