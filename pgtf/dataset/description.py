"""dataset.json: facts about a dataset that the original's files do not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pgtf.files import read_at_once

META_FILE = "dataset.json"  # The original's folders have none.
META_FORMAT = 1
# Original release, config.py: the datasets whose line sets train.mirror_augment.
MIRRORED_NAMES = re.compile(r"celebahq|celeba|lsun-.+-100k")


def read_description(path: str) -> dict[str, Any]:
    """Reads the dataset.json of a dataset folder; {} if there is none.

    Raises:
        ValueError: the file is damaged, or a field has a wrong type.
    """
    try:
        meta: Any = json.loads(read_at_once(f"{path}/{META_FILE}").decode())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}/{META_FILE}: not JSON ({error}).") from error
    if not isinstance(meta, dict):
        raise ValueError(f"{path}/{META_FILE}: must hold a JSON object.")
    label_names = meta.get("label_names", [])
    if not isinstance(label_names, list) or not all(isinstance(x, str) for x in label_names):
        raise ValueError(f"{path}/{META_FILE}: `label_names` must be a list of strings.")
    if not isinstance(mirror := meta.get("mirror", False), bool):
        raise ValueError(
            f"{path}/{META_FILE}: `mirror` must be true or false. Received: {json.dumps(mirror)}."
        )
    version = meta.get("format", META_FORMAT)
    if type(version) is not int or not 1 <= version <= META_FORMAT:
        raise ValueError(
            f"{path}/{META_FILE}: `format` must be 1 to {META_FORMAT}. "
            f"Received: {json.dumps(version)}. A newer version of this program may have made it."
        )
    return meta


def default_mirror(name: str, meta: Mapping[str, Any]) -> bool:
    """Default of mirror_augment: `mirror` in dataset.json, or the original's for a folder name."""
    return bool(meta.get("mirror", MIRRORED_NAMES.fullmatch(name)))


def mirror_source(path: str, name: str, meta: Mapping[str, Any]) -> str:
    """Describes in a few words the source of `default_mirror`."""
    if "mirror" in meta:
        return f"the default in {path}/{META_FILE}"
    if default_mirror(name, meta):
        return f"the original release's default for a dataset named {name}"
    return (
        f"the default for a dataset named {name}: the original release mirrors celebahq, celeba "
        "and lsun-*-100k"
    )
