"""Protection of files that somebody else may have put where a job is about to write.

Only files that a journal names are deleted. A folder without a journal, or with a link in it, is
refused: the folder, or the target of the link, may belong to anybody.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection

from pgtf.dataset.journal import JOURNAL

# `files.write_atomically` leaves a name with this ending if the process is killed.
TEMPORARY = re.compile(r"\.\d+\.tmp$")


def refuse_existing(target: str, argument: str = "tfrecord_dir") -> None:
    """Refuses a target that cannot be a new folder; errors name the argument.

    Raises:
        ValueError: the target is not a name for a folder.
        FileExistsError: it exists.
    """
    name = os.path.basename(target)
    if name in ("", ".", "..") or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ValueError(
            f"`{argument}` must name the folder to create, such as datasets/cats. "
            f"Received: {target!r}."
        )
    if os.path.islink(target):
        raise FileExistsError(f"{target}: is a link. Delete it or choose another name.")
    if os.path.lexists(target):
        raise FileExistsError(f"{target}: exists already. Delete it or choose another name.")


def enter(path: str) -> None:
    """Creates NAME.partial. Raises FileExistsError if it exists and no job left it."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        os.mkdir(path)
    except FileExistsError:
        refuse_foreign(path)


def refuse_foreign(path: str) -> None:
    """Raises FileExistsError if NAME.partial exists and no job left it."""
    if not os.path.lexists(path):
        return
    _refuse_odd(path, os.lstat(path), stat.S_ISDIR)
    names = sorted(os.listdir(path))
    if names and JOURNAL not in names:  # A job that ended at once leaves an empty folder.
        raise FileExistsError(
            f"{path}: was not left by this tool: it holds {names[0]!r} and no {JOURNAL}. "
            "Move it away, or choose another name."
        )
    for folder, folders, files in os.walk(path):
        for name in folders:
            is_right = stat.S_ISREG if name == JOURNAL else stat.S_ISDIR
            _refuse_odd(path, os.lstat(os.path.join(folder, name)), is_right, name)
        for name in files:
            found = os.lstat(os.path.join(folder, name))
            _refuse_odd(path, found, stat.S_ISREG, name)
            if found.st_nlink > 1 and folder == path:  # `rank_images` makes links one level deeper.
                raise FileExistsError(
                    f"{path}: {name!r} in it is a file with another name too (a hard link). "
                    "Replace it by a copy, or choose another name."
                )


def _refuse_odd(
    path: str, found: os.stat_result, is_right: Callable[[int], bool], name: str = ""
) -> None:
    """Raises FileExistsError for a link, a pipe, or anything else that a job never leaves."""
    if not is_right(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "not what a job leaves"
        where = f"{name!r} in it is" if name else "is"
        raise FileExistsError(f"{path}: {where} {what}. Move it away, or choose another name.")


def remove_files(folder: str, names: Collection[str]) -> None:
    """Deletes the files with these names; the folder may hold only them and its journal.

    Raises:
        FileExistsError: the folder holds something else; nothing is deleted then.
    """
    ours, others = _sort_out(folder, names)
    if others:
        raise FileExistsError(
            f"{folder}: {others[0]!r} in it is no file that {JOURNAL} names. "
            "Move it away, or choose another name."
        )
    for name in ours:
        os.unlink(os.path.join(folder, name))


def remove_folder(folder: str, names: Collection[str]) -> None:
    """Deletes the files with these names, and the folder if it holds nothing else."""
    ours, others = _sort_out(folder, names)
    for name in ours:
        os.unlink(os.path.join(folder, name))
    if not others:
        os.unlink(os.path.join(folder, JOURNAL))
        os.rmdir(folder)


def _sort_out(folder: str, names: Collection[str]) -> tuple[list[str], list[str]]:
    """Returns files with these (or their temporary) names, and others except the journal."""
    ours: list[str] = []
    others: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            is_named = TEMPORARY.sub("", entry.name) in names
            is_ours = is_named and entry.is_file(follow_symlinks=False)
            if entry.name != JOURNAL:
                (ours if is_ours else others).append(entry.name)
    return sorted(ours), sorted(others)
