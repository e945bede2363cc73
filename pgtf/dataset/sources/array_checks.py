"""Files of arrays that fit together, and the masks that belong to them."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.sources.array_options import ArrayOptions
from pgtf.dataset.sources.array_survey import Facts, extension, find_files


def find_masks(folder: str | None, source: str, names: Sequence[str]) -> dict[str, str]:
    """Finds the mask of each file: of the same name, or with another extension.

    Raises:
        OSError: there is no such folder.
        ValueError: a file has no mask, or several.
    """
    if folder is None:
        return {}
    if os.path.isfile(folder) and os.path.isfile(source):
        return {names[0]: os.path.abspath(folder)}
    known: dict[str, list[str]] = collections.defaultdict(list)
    for name in find_files(folder)[0]:
        known[_stem(name)].append(name)
    found = {}
    for name in names:
        same = known.get(_stem(name), [])
        if len(same) != 1:
            what = "none" if not same else ", ".join(same)
            raise ValueError(
                f"{os.path.join(folder, _stem(name))}: must be the mask of {name}, with an "
                f"extension. Received: {what}."
            )
        found[name] = os.path.abspath(os.path.join(folder, same[0]))
    return found


def _stem(name: str) -> str:
    return name[: len(name) - len(extension(name))]


def sorted_out(
    root: str, names: Sequence[str], looks: Sequence[Facts | Rejected], arrays: ArrayOptions
) -> tuple[list[tuple[str, Facts]], list[Rejected]]:
    """Tells files that fit together from those that cannot be used; the first one sets the rule.

    Raises:
        ValueError: there are more of the latter than `max_errors`.
    """
    kept: list[tuple[str, Facts]] = []
    rejected: list[Rejected] = []
    for name, look in zip(names, looks, strict=True):
        if isinstance(look, Facts) and (why := _unlike(look, kept, arrays)):
            look = Rejected(os.path.join(root, name), why)
        if isinstance(look, Rejected):
            rejected.append(look)
        else:
            kept.append((name, look))
    if len(rejected) > arrays.max_errors or not kept:
        first = rejected[min(arrays.max_errors, len(rejected) - 1)]
        remedy = f"; --max_errors={len(rejected)} leaves out such files" if kept else ""
        raise ValueError(f"{first.name}: {first.reason}{remedy}.")
    return kept, rejected


def _unlike(look: Facts, kept: Sequence[tuple[str, Facts]], arrays: ArrayOptions) -> str | None:
    """Describes how a file differs from the first one in what must be the same; None if it fits."""
    if not kept:
        return None
    name, first = kept[0]
    if look.shape[2] != first.shape[2]:
        return f"must have {first.shape[2]} channels, as {name}, found {look.shape[2]}"
    if arrays.transform == "none" and look.shape != first.shape:
        (height, width, _), found = first.shape, look.shape
        return (
            f"must be {height}x{width} (height x width), as {name}, found {found[0]}x{found[1]}; "
            "--resolution and --transform convert"
        )
    if look.unit != first.unit:
        units = [unit or "no unit" for unit in (first.unit, look.unit)]
        return f"must have values in {units[0]}, as {name} (rescale type), found {units[1]}"
    return None
