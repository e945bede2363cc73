"""Finds the image that a name in somebody's table means, if there is only one."""

from __future__ import annotations

import collections
import os
import unicodedata
from collections.abc import Collection, Sequence

from pgtf.foreign.formats import extensions

ANY_KIND = "/"  # in place of the extension of any kind of picture; no name ends with it


def match_names(
    written: Collection[str], image_dir: str, names: Sequence[str]
) -> dict[str, list[str]]:
    r"""Finds the names in a table that mean each image.

    A name means the image with that path. A name that is no image's path means an image whose path
    ends as the name does, or the reverse: tables hold the paths of other folders or none. There
    `\` is `/`, upper case is lower case, and the extension may be missing, or that of another kind
    of picture. Of several such names those count that share most folders with the image.

    Args:
        written: names in the table.
        image_dir: folder that the images are in.
        names: paths of images below it.

    Returns:
        {image: names that mean it}, without images that no name means.

    Raises:
        ValueError: a name may mean several images; the message names both.
    """
    found = {name: [name] for name in names if name in written}
    others = [name for name in names if name not in found]
    if not others or len(found) == len(written):
        return found
    by_ending: dict[str, list[tuple[str, tuple[str, ...]]]] = collections.defaultdict(list)
    for text in written:
        if text not in found and (parts := _parts(text)):
            by_ending[parts[-1]].append((text, parts))
            stem, extension = os.path.splitext(parts[-1])
            if extension in extensions():
                by_ending[stem + ANY_KIND].append((text, (*parts[:-1], stem + ANY_KIND)))
    meant: dict[str, str] = {}
    above = os.path.abspath(image_dir)
    for name in others:
        for text in (means := _meaning(by_ending, above, name)):
            if (other := meant.setdefault(text, name)) != name:
                raise ValueError(
                    f"{text} may be {other} or {name}. Write the folder, or the extension, too."
                )
        if means:
            found[name] = means
    return found


def _meaning(
    by_ending: dict[str, list[tuple[str, tuple[str, ...]]]], above: str, name: str
) -> list[str]:
    """Returns the names in a table that mean one image best."""
    path, depth = _parts(os.path.join(above, name)), len(_parts(name))
    stem = os.path.splitext(path[-1])[0]
    for ending in dict.fromkeys((path[-1], stem, stem + ANY_KIND)):
        shared: dict[str, int] = {}
        for text, parts in by_ending.get(ending, ()):
            count = _num_shared((*path[:-1], ending), parts)
            if count == len(parts) or count >= depth:
                shared[text] = count
        if shared:
            most = max(shared.values())
            return [text for text, count in shared.items() if count == most]
    return []


def _parts(name: str) -> tuple[str, ...]:
    """Splits a path into folders and file, in one spelling of letters."""
    text = unicodedata.normalize("NFC", name.replace("\\", "/")).casefold()
    return tuple(part for part in text.split("/") if part not in ("", "."))


def _num_shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of parts at the end that two paths share."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
