"""dataset.json: facts about a dataset that the original's files do not hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.dataset.tfrecords import DTYPES, MAX_CHANNELS
from pgtf.foreign.json_files import read_json
from pgtf.grids import MAX_SIDE, Grid
from pgtf.images import DRANGE, UINT8_DRANGE
from pgtf.label_groups import KINDS

META_FILE = "dataset.json"  # The original's folders have none.
META_FORMAT = 1
PAPER_GRID = Grid(4, 4)
DTYPE = "uint8"
# Type -> the range of its values, if dataset.json does not state one.
RANGES: dict[str, tuple[float, float]] = {
    "uint8": UINT8_DRANGE,
    "uint16": (0.0, 65535.0),
    "float32": DRANGE,
}
NEWER = " A newer version of this program may have made it."
MAX_NUMBER = 1 << 63  # of images, pixels or channels
# Original release, config.py: the datasets whose line sets train.mirror_augment.
MIRRORED_NAMES = re.compile(r"celebahq|celeba|lsun-.+-100k")


def read_description(path: str) -> dict[str, Any]:
    """Reads the dataset.json of a dataset folder; {} if there is none.

    Fields that are not in `RULES` are kept.

    Raises:
        ValueError: the file is damaged, or a field has a wrong type.
    """
    source = f"{path}/{META_FILE}"
    try:
        meta: Any = read_json(source)
    except FileNotFoundError:
        return {}
    if not isinstance(meta, dict):
        raise ValueError(f"{source}: must hold a JSON object.")
    for name, (is_right, rule) in RULES.items():
        if name in meta and not is_right(meta[name]):
            raise ValueError(
                f"{source}: `{name}` must be {rule}. Received: {json.dumps(meta[name])[:80]}."
                + (NEWER if name in ("format", "grid", "dtype") else "")
            )
    return meta


def describe(
    shape: tuple[int, int, int],
    num_images: int,
    facts: Mapping[str, Any],
    grid: Grid = PAPER_GRID,
    dtype: str = DTYPE,
) -> dict[str, Any]:
    """Makes the content of a dataset.json.

    Args:
        shape: [C, H, W] of the images.
        num_images: number of records.
        facts: more fields, `source` among them.
        grid: size of the coarsest level.
        dtype: type of the values.
    """
    return {
        "format": META_FORMAT,
        "source": facts["source"],
        "num_images": num_images,
        "resolution": 1 << (grid.level_of(*shape[1:]) or 0),
        "grid": [grid.height, grid.width],
        "channels": shape[0],
        "dtype": dtype,
        "range": [int(bound) if bound.is_integer() else bound for bound in RANGES[dtype]],
        **facts,
    }


def grid_of(meta: Mapping[str, Any]) -> Grid:
    """Size of the coarsest level: that of dataset.json, or the paper's."""
    return Grid(*meta["grid"]) if "grid" in meta else PAPER_GRID


def dtype_of(meta: Mapping[str, Any]) -> np.dtype[Any]:
    """Type of the stored values."""
    return DTYPES[meta.get("dtype", DTYPE)]


def value_range_of(meta: Mapping[str, Any]) -> tuple[float, float]:
    """Stored values that are -1 and 1 to the networks.

    The `range` of a uint8 dataset is that of the files that it was made from; its own is 0 to 255.
    """
    dtype = meta.get("dtype", DTYPE)
    if dtype == DTYPE or "range" not in meta:
        return RANGES[dtype]
    low, high = meta["range"]
    return float(low), float(high)


def num_held_out(meta: Mapping[str, Any]) -> int:
    """Number of images at the end of the record files that training never sees."""
    return int(meta.get("split", {}).get("held_out", 0))


def label_names(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the label columns, () if they are not known."""
    if "label_names" in meta:
        return tuple(meta["label_names"])
    return tuple(name for group in meta.get("label_groups", ()) for name in group.get("names", ()))


def _is_number(value: Any, low: int = 1) -> bool:
    return type(value) is int and low <= value < MAX_NUMBER


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_list(value: Any, is_right: Callable[[Any], bool], length: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and all(map(is_right, value))
        and (length is None or len(value) == length)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_range(value: Any) -> bool:
    return _is_list(value, _is_real, 2) and value[0] < value[1]


def _is_group(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        return False
    columns: Any = value.get("columns")
    if not _is_list(columns, lambda x: _is_number(x, 0), 2) or columns[0] >= columns[1]:
        return False
    width = columns[1] - columns[0]
    rules = {"names": _is_text, "mean": _is_real, "deviation": _is_real}
    return all(
        _is_list(value[name], is_right, width) for name, is_right in rules.items() if name in value
    )


def _is_split(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_number(value.get("held_out"))
        and _is_number(value.get("seed", 0), 0)
        and (value.get("by") is None or _is_text(value["by"]))
    )


# Field -> its check, and the rule in words.
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "label_names": (lambda x: _is_list(x, _is_text), "a list of strings"),
    "mirror": (lambda x: isinstance(x, bool), "true or false"),
    "num_images": (_is_number, "a number from 1"),
    "resolution": (_is_number, "a number from 1"),
    "channels": (
        lambda x: _is_number(x) and x <= MAX_CHANNELS,
        f"a number from 1 to {MAX_CHANNELS}",
    ),
    "num_channels": (_is_number, "a number from 1"),  # older name of channels
    "format": (lambda x: _is_number(x) and x <= META_FORMAT, f"1 to {META_FORMAT}"),
    "source": (_is_text, "a string"),
    "fingerprint": (
        lambda x: isinstance(x, dict) and all(map(_is_text, x.values())),
        "an object of strings",
    ),
    "grid": (
        lambda x: _is_list(x, lambda side: _is_number(side) and side <= MAX_SIDE, 2),
        f"[height, width], each 1 to {MAX_SIDE}",
    ),
    "dtype": (lambda x: _is_text(x) and x in DTYPES, f"one of {', '.join(DTYPES)}"),
    "preview": (_is_text, "a string: channels such as 3,2,1 or a color map"),
    "preview_range": (_is_range, "two numbers, the lower one first"),
    "range": (_is_range, "two numbers, the lower one first"),
    "label_groups": (
        lambda x: _is_list(x, _is_group),
        f"a list of objects with a kind ({', '.join(KINDS)}), the columns [first, end] and, per "
        "column, names, mean and deviation",
    ),
    "subjects": (_is_number, "a number from 1"),
    "split": (_is_split, "an object with held_out, a number from 1, seed and by"),
}


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
