"""Opens the run folder of a command: that of the run it continues, or the next one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pgtf import files
from pgtf.runs import identity
from pgtf.runs.choice import Request, choose
from pgtf.runs.identity import NEW_NETWORKS
from pgtf.runs.interfaces import Workers
from pgtf.runs.lock import exclusive
from pgtf.runs.run_folder import list_runs, store_config

# The files of a folder that is being made, complete or not.
_MADE_FIRST = re.compile(r"(config|identity)\.json(\.\d+\.tmp)?")


class Opened(NamedTuple):
    """A run folder to train in."""

    folder: Path
    finished: bool
    notes: tuple[str, ...] = ()


def open_run(request: Request) -> Opened:
    """Finds the run that a command means (`choose`), or creates the next folder.

    After training has begun with a changed configuration, call `accept_config`.

    Raises:
        ValueError: if the command is refused; names the differences and the remedies.
    """
    files.retried(lambda: Path(request.outdir).mkdir(parents=True, exist_ok=True), request.outdir)
    with exclusive(request.outdir):
        choice = choose(request)
        if choice.folder is not None:
            return Opened(choice.folder, choice.finished, choice.notes)
        folder = _create(request)
    note = f"{folder}: a new run, in {os.path.realpath(request.outdir)}"
    return Opened(folder, False, (note, *choice.notes))


def open_together(workers: Workers, open_on_chief: Callable[[], Opened]) -> Opened:
    """Calls `open_on_chief` (`open_run`) on the chief. Returns the result on all workers."""

    def on_chief() -> bytes:
        folder, finished, notes = open_on_chief()
        return json.dumps([str(folder), finished, notes]).encode()

    folder, finished, notes = json.loads(workers.broadcast(on_chief))
    return Opened(Path(folder), finished, tuple(notes))


def _create(request: Request) -> Path:
    runs = list_runs(request.outdir)
    number = runs[-1][0] + 1 if runs else 0
    folder = Path(request.outdir) / f"{number:03d}-{request.title()}"
    # The folder has another name until it holds a configuration: a run without one could not be
    # continued.
    unfinished = Path(request.outdir) / f".{folder.name}.tmp"
    _clear(unfinished)
    unfinished.mkdir()
    asked = request.identity
    store_config(unfinished, asked.config)
    identity.store(
        unfinished, identity.Record(request.preset, asked.source, asked.beginning or NEW_NETWORKS)
    )
    files.retried(lambda: unfinished.rename(folder), folder)
    return folder


def _clear(unfinished: Path) -> None:
    """Deletes the run folder that a killed process was making.

    Raises:
        ValueError: it holds what no process makes there; nothing is deleted then.
    """
    if unfinished.is_symlink():
        unfinished.unlink()
        return
    if not os.path.lexists(unfinished):
        return
    is_ours = unfinished.is_dir()
    found = list(unfinished.iterdir()) if is_ours else []
    for path in found:
        is_ours &= _MADE_FIRST.fullmatch(path.name) is not None and not path.is_dir()
    if not is_ours:
        raise ValueError(f"{unfinished}: is not what a killed process left. Move it away.")
    for path in found:
        path.unlink()
    unfinished.rmdir()
