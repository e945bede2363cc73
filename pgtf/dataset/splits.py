"""Images that training never sees, for metrics: whole groups, chosen by a seed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pgtf.wording import counted


@dataclasses.dataclass(frozen=True)
class Split:
    """Places of held-out images among the items of a job: from `first` to the end."""

    first: int
    seed: int
    by: str | None  # meaning of the groups; None = every image is a group


def parse_held_out(text: str) -> int | float:
    """Parses a number of images, or a share of them: 500, 0.1 or 10%.

    Raises:
        ValueError: it is neither.
    """
    try:
        value = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0
    if 0 < value < 1:
        return value
    if value >= 1 and value.is_integer() and not {*"%."} & {*text}:  # 1.0 may be all of them.
        return int(value)
    raise ValueError(
        f"`held_out` must be a number of images from 1, or a share such as 0.1. Received: {text}."
    )


def check_split(held_out: str | None, split_by: str | None) -> None:
    """Raises ValueError for options of a split that are wrong, or need each other."""
    if held_out is not None:
        parse_held_out(held_out)
    elif split_by is not None:
        raise ValueError(
            f"`split_by` needs `held_out`. Received: split_by={split_by}. "
            "Add, for example, --held_out=0.1."
        )


def held_out(groups: Sequence[str], amount: int | float, seed: int) -> np.ndarray:
    """Chooses groups that hold at least `amount` images together: -> bool [n].

    The choice depends on the names of the groups, not on their order: each has a place that the
    seed and its name determine.

    Args:
        groups: group of each image.
        amount: number of images, or a share of all below 1.
        seed: any number.

    Raises:
        ValueError: nothing would remain for training.
    """
    wanted = amount if isinstance(amount, int) else max(round(amount * len(groups)), 1)
    sizes = Counter(groups)
    chosen: set[str] = set()
    count = 0
    for group in sorted(sizes, key=lambda name: _place(name, seed)):
        if count >= wanted:
            break
        chosen.add(group)
        count += sizes[group]
    if count >= len(groups):
        remedy = "Hold fewer out."
        if len(sizes) == 1:
            remedy = "Add images of other groups, or choose others with --split_by."
        raise ValueError(
            f"`held_out` must leave images for training. Received: held_out={amount} of "
            f"{counted(len(groups), 'image')} in {counted(len(sizes), 'group')}, which are held "
            f"out as wholes. {remedy}"
        )
    return np.array([group in chosen for group in groups])


def _place(name: str, seed: int) -> bytes:
    text = f"{seed} {name}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).digest()
