"""Cases: a folder as {name below it: content}, where content may also be one of ODD."""

from __future__ import annotations

import os
from pathlib import Path

Case = dict[str, bytes | str]

ODD = ("missing", "empty", "folder", "pipe", "endless")  # in place of a file
HERE = "{the folder of the case}"  # stands for its absolute path in the content of files


def write(case: Case, folder: Path, *, resolve: bool = True) -> None:
    """Writes the files of a case into a folder; without `resolve`, HERE stays as it is."""
    for name, content in case.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(_placed(content, folder) if resolve else content)
        elif content == "empty":
            path.touch()
        elif content == "folder":
            path.mkdir()
        elif content == "pipe":
            os.mkfifo(path)
        elif content == "endless":
            path.symlink_to("/dev/zero")
        elif content != "missing":
            raise ValueError(f"unknown kind of file. Received: {content}.")


def left_behind(case: Case, folder: Path, accepted: bool, continues: bool = False) -> list[str]:
    """Lists files that a reader changed or left, except results of an input that was accepted.

    With `continues` the reader may change the files of a job in a folder NAME.partial.
    """
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if not path.is_dir()}
    for name in set(case) - set(found):  # A damaged checkpoint gets another name.
        if (moved := str(Path(name).with_suffix(".damaged"))) in found:
            found[name] = found.pop(moved)
    changed = [
        f"changed {name}"
        for name, content in case.items()
        if isinstance(content, bytes)
        and not (name in found and found[name].read_bytes() == _placed(content, folder))
        and not ((accepted or continues) and ".partial/" in name)  # The job went on.
    ]
    new = [name for name in found if name not in case]
    if accepted:
        new = [name for name in new if ".partial" in name or name.endswith(".tmp")]
    else:
        parents = {str(parent) for name in case for parent in Path(name).parents}
        folders = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()]
        new += [name for name in folders if name not in {*parents, *case}]
        new = [name for name in new if not (continues and ".partial/" in name)]
    return changed + [f"new {name}" for name in sorted(new)]


def _placed(content: bytes, folder: Path) -> bytes:
    return content.replace(HERE.encode(), os.fsencode(folder))
