"""Opens the run folder of a command: that of the run it continues, or the next one."""

from __future__ import annotations

import json
import os
import shutil
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
    if unfinished.is_symlink() or unfinished.is_file():
        unfinished.unlink()
    elif unfinished.exists():  # A killed process left it.
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    asked = request.identity
    store_config(unfinished, asked.config)
    identity.store(
        unfinished, identity.Record(request.preset, asked.source, asked.beginning or NEW_NETWORKS)
    )
    files.retried(lambda: unfinished.rename(folder), folder)
    return folder
