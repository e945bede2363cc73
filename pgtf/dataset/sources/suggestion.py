"""The command that makes a dataset of a folder of images, by a look at some of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import shlex
from collections.abc import Sequence

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.pyramid import has_pyramid, suggested_grid
from pgtf.dataset.sources.pictures import GRAY_MODES, PLAIN_MODES
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.dataset.sources.survey import SURVEYED, small_part, survey
from pgtf.dataset.sources.walking import find_images
from pgtf.foreign.limits import MAX_PIXELS
from pgtf.foreign.pictures import open_picture
from pgtf.grids import MIN_RESOLUTION_LOG2, Grid
from pgtf.installation import command

MAX_SUGGESTED = 1024  # pixels
MAX_CELLS = 64  # of a grid that is suggested: 8x8
TRANSPARENT = "transparent"


@dataclasses.dataclass(frozen=True)
class Kinds:
    """Facts about some files, evenly spaced, that could be opened."""

    sizes: tuple[tuple[int, int], ...]  # width and height of each
    modes: frozenset[str]  # Pillow's names, or TRANSPARENT
    needs_range: bool  # The values have no known range, or span a small part of it.
    num_files: int  # that were looked at
    rejected: tuple[Rejected, ...]  # others of these, which cannot be opened

    @property
    def channels(self) -> int:
        """1 if all files are gray, otherwise 3."""
        return 1 if self.modes <= set(GRAY_MODES) else 3

    @property
    def is_uniform(self) -> bool:
        """True if the files have one size, of which the original release makes a dataset."""
        return len(set(self.sizes)) == 1 and has_pyramid(*self.sizes[0])

    @property
    def grid(self) -> Grid | None:
        """A small grid of which all files are a power of two larger, such as 5x4, if there is one.

        Photographs of 640x480 have one of 15x20: such networks would hardly grow.
        """
        (width, height), *others = set(self.sizes)
        found = None if others else suggested_grid(height, width)
        return found if found and found.height * found.width <= MAX_CELLS else None

    def side(self, share: float, largest: int) -> int:
        """Largest power of two up to `largest` that this share of the files has, or 4.

        Args:
            share: share of the files, in the order of their shorter sides, that may be smaller.
            largest: limit in pixels.
        """
        shorter = sorted(map(min, self.sizes))
        smallest = min(shorter[int(len(shorter) * share)], largest)
        return 1 << max(smallest.bit_length() - 1, MIN_RESOLUTION_LOG2)


def kinds_of(path: str, names: Sequence[str]) -> Kinds:
    """Opens some of the files in a folder, without decoding them."""
    chosen = [os.path.join(path, name) for name in names[:: max(len(names) // SURVEYED, 1)]]
    looks = [read_or_reject(file, functools.partial(_kind, file)) for file in chosen]
    known = [look for look in looks if not isinstance(look, Rejected)]
    rejected = tuple(look for look in looks if isinstance(look, Rejected))
    found = survey(path, names)
    needs_range = any(most is None for _, _, most in found.extents) or bool(small_part(found))
    sizes, modes = tuple(size for size, _ in known), frozenset(mode for _, mode in known)
    return Kinds(sizes, modes, needs_range, len(looks), rejected)


def _kind(path: str) -> tuple[tuple[int, int], str]:
    """Size and mode of a picture."""
    with open_picture(path, pixels=False, max_pixels=MAX_PIXELS) as picture:
        return picture.size, TRANSPARENT if picture.has_transparency_data else picture.mode


def suggested_command(path: str) -> str | None:
    """Suggests the create_from_images command for a folder; None if it holds no images."""
    try:
        found = kinds_of(path, find_images(path).images)
    except (OSError, ValueError):
        return None
    if not found.sizes:
        return None
    words = [*command("dataset").split(), "create_from_images", _free_name(path), path]
    if not found.is_uniform and found.grid:
        words.append(f"--grid={found.grid}")
    elif not found.is_uniform:
        words += [f"--resolution={found.side(0.1, MAX_SUGGESTED)}", "--transform=center-crop"]
    if len(found.modes) > 1 or not found.modes <= set(PLAIN_MODES):
        words.append(f"--channels={found.channels}")
    if TRANSPARENT in found.modes:
        words.append("--alpha=white")
    if found.needs_range:
        words.append("--range=auto")
    return shlex.join(words)


def _free_name(path: str) -> str:
    """Returns datasets/NAME for a folder NAME, or datasets/NAME-2 and so on if that exists."""
    name = os.path.join("datasets", os.path.basename(os.path.abspath(path)))
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not os.path.lexists(name))
