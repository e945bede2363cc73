"""The command that makes a dataset of a folder of images."""

from __future__ import annotations

import collections
import itertools
import os
import shlex

from pgtf.dataset.folder import MIN_RESOLUTION_LOG2
from pgtf.dataset.pyramid import has_pyramid
from pgtf.dataset.sources.pictures import FILE_ERRORS, GRAY_MODES, PLAIN_MODES
from pgtf.dataset.sources.survey import SURVEYED, small_part, survey
from pgtf.dataset.sources.walking import find_images
from pgtf.foreign.pictures import open_picture

MAX_SUGGESTED = 1024  # pixels


def suggested_command(path: str) -> str | None:
    """Suggests the create_from_images command for a folder; None if it holds no images."""
    try:
        names = find_images(path).images
    except (OSError, ValueError):
        return None
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    modes: collections.Counter[str] = collections.Counter()
    for name in names[:: max(len(names) // SURVEYED, 1)]:
        try:
            with open_picture(os.path.join(path, name), pixels=False) as picture:
                sizes[picture.size] += 1
                modes["transparent" if picture.has_transparency_data else picture.mode] += 1
        except FILE_ERRORS:
            continue
    if not sizes:
        return None
    command = ["python", "dataset_tool.py", "create_from_images", _free_name(path), path]
    if len(sizes) > 1 or not has_pyramid(*next(iter(sizes))):
        smallest = sorted(min(size) for size in sizes.elements())[sizes.total() // 10]
        side = 1 << max(min(smallest, MAX_SUGGESTED).bit_length() - 1, MIN_RESOLUTION_LOG2)
        command += [f"--resolution={side}", "--transform=center-crop"]
    if len(modes) > 1 or not set(modes) <= set(PLAIN_MODES):
        command.append("--channels=1" if set(modes) <= set(GRAY_MODES) else "--channels=3")
    if "transparent" in modes:
        command.append("--alpha=white")
    found = survey(path, names)
    if small_part(found) or any(most is None for _, _, most in found.extents):
        command.append("--range=auto")
    return shlex.join(command)


def _free_name(path: str) -> str:
    """Returns datasets/NAME for a folder NAME, or datasets/NAME-2 and so on if that exists."""
    name = os.path.join("datasets", os.path.basename(os.path.abspath(path)))
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not os.path.lexists(name))
