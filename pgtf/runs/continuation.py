"""The choice between continuing a run and starting another, by configuration and dataset."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from pgtf import files
from pgtf.dataset import Dataset
from pgtf.runs import identity
from pgtf.runs.identity import Source, differences
from pgtf.runs.interfaces import RunConfig, Workers
from pgtf.runs.lock import exclusive
from pgtf.runs.run_folder import (
    CHECKPOINT_FOLDER,
    FINISHED_FILE,
    list_runs,
    load_config,
    newest_first,
    store_config,
)

C = TypeVar("C", bound=RunConfig)


class Opened(NamedTuple):
    """A run folder to train in."""

    folder: Path
    finished: bool  # nothing is left to train
    notes: tuple[str, ...] = ()  # differences from the stored run, for the log


def open_run(
    outdir: str | os.PathLike[str],
    preset: str,
    config: RunConfig,
    dataset: Dataset,
    new: bool = False,
    allow_change: bool = False,
) -> Opened:
    """Finds the run to continue, or creates the next folder.

    The candidates are the runs of the same dataset and preset: `NNN-<dataset>-<preset>`, and those
    whose dataset had the same content under another name. A run of the same configuration is
    continued, or reported as finished; the path of the dataset and the length of training may
    differ, which a note says. With `allow_change` the newest run is continued whatever differs;
    call `accept_config` once that has worked. A run starts when there is none yet, or with `new`.

    Args:
        outdir: folder of the run folders.
        preset: name of the preset.
        config: pgtf.config.Config, made for the dataset.
        dataset: opened dataset.
        new: start a run in any case.
        allow_change: continue the newest run although its configuration differs.

    Raises:
        ValueError: if all candidates have another configuration; names the differences.
    """
    files.retried(lambda: Path(outdir).mkdir(parents=True, exist_ok=True), outdir)
    asked = _Run(None, preset, config, Source.of(dataset))
    title = f"{dataset.name}-{preset}"
    with exclusive(outdir):
        runs = [] if new else _candidates(outdir, title, asked)
        if not runs:
            return Opened(_create(outdir, title, asked), finished=False)
        same = [run for run in runs[: 1 if allow_change else None] if not asked.changes_of(run)]
        exact = [run for run in same if run.num_nimg == asked.num_nimg]
        if same:
            return _continued((exact or same)[0], asked)
        if allow_change:
            return Opened(runs[0].path, finished=False)
        raise ValueError(_refusal(runs[0], asked.changes_of(runs[0])))


def open_together(workers: Workers, open_on_chief: Callable[[], Opened]) -> Opened:
    """Calls `open_on_chief` (`open_run`) on the chief. Returns the result on all workers."""

    def on_chief() -> bytes:
        folder, finished, notes = open_on_chief()
        return json.dumps([str(folder), finished, notes]).encode()

    folder, finished, notes = json.loads(workers.broadcast(on_chief))
    return Opened(Path(folder), finished, tuple(notes))


def with_mirror_of_run(
    outdir: str | os.PathLike[str],
    preset: str,
    config: C,
    dataset: Dataset,
    new: bool = False,
    allow_change: bool = False,
) -> RunConfig:
    """Returns `config` with mirror_augment of the run that `open_run` would continue, if any.

    The comparison ignores mirror_augment: other differences decide which run that is.
    """
    title = f"{dataset.name}-{preset}"
    asked = _Run(None, preset, config, Source.of(dataset))
    runs = [] if new else _candidates(outdir, title, asked)
    begun = [
        config.replace({"dataset.mirror_augment": run.config.dataset.mirror_augment})
        for run in runs
    ]
    for run, changed in zip(runs[: 1 if allow_change else None], begun, strict=False):
        if not dataclasses.replace(asked, config=changed).changes_of(run):
            return changed
    return begun[0] if begun else config


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run, either stored or requested."""

    folder: Path | None  # None for the requested one
    preset: str | None  # None if unknown, as for runs of an earlier version
    config: RunConfig
    source: Source

    @property
    def path(self) -> Path:
        """Folder of a stored run."""
        if self.folder is None:
            raise ValueError("the requested run has no folder.")
        return self.folder

    @property
    def num_nimg(self) -> int:
        """Length of the run in images."""
        return math.ceil(self.config.training.total_kimg * 1000)

    def changes_of(self, stored: _Run) -> list[str]:
        """Lists the differences from a stored run to this one that change numbers."""
        return differences(stored.config, stored.source, self.config, self.source)

    def is_finished(self) -> bool:
        return files.exists(self.path / FINISHED_FILE)

    def trained_nimg(self) -> int:
        """Images that the newest checkpoint has seen; for a finished run at least its length."""
        checkpoints = newest_first(self.path / CHECKPOINT_FOLDER)
        seen = int(checkpoints[0].stem.rpartition("-")[2]) if checkpoints else 0
        return max(seen, self.num_nimg) if self.is_finished() else seen


def _candidates(outdir: str | os.PathLike[str], title: str, asked: _Run) -> list[_Run]:
    """Lists the runs of the same dataset and preset, newest first."""
    found = []
    for _, folder, stored_title in reversed(list_runs(outdir)):
        preset, source = identity.load(folder)
        same_images = source is not None and source.is_same(asked.source)
        if stored_title != title and not (same_images and preset == asked.preset):
            continue
        config = load_config(folder, asked.config)
        run = _Run(folder, preset, config, source or Source(os.path.realpath(config.dataset.path)))
        # A finished run of other images in another place has only its name in common.
        elsewhere = source is not None and source.path != asked.source.path
        if same_images or not elsewhere or not run.is_finished():
            found.append(run)
    return found


def _continued(run: _Run, asked: _Run) -> Opened:
    """Accepts the differences that change no numbers, each with a note."""
    notes = []
    finished, kimg = run.is_finished(), asked.num_nimg / 1000
    if run.num_nimg != asked.num_nimg:
        finished = run.trained_nimg() >= asked.num_nimg
        if finished:
            trained = run.trained_nimg() / 1000
            notes.append(f"{run.path} was trained to {trained:g} kimg already, {kimg:g} are asked")
        else:
            before = run.num_nimg / 1000
            notes.append(f"{run.path}: continuing to {kimg:g} kimg instead of {before:g}")
    if not finished and run.source.path != asked.source.path:
        notes.append(
            f"{run.path}: the dataset moved: continuing with {asked.source.path} instead of "
            f"{run.source.path}, whose images are the same"
        )
    return Opened(run.path, finished, tuple(notes))


def _refusal(run: _Run, changes: list[str]) -> str:
    stage = "finished" if run.is_finished() else "unfinished"
    return (
        f"{run.path} is {stage} and has another configuration: {'; '.join(changes)}. Continue it "
        "all the same with --allow_config_change, start another run with --new, or undo the change."
    )


def _create(outdir: str | os.PathLike[str], title: str, asked: _Run) -> Path:
    runs = list_runs(outdir)
    number = runs[-1][0] + 1 if runs else 0
    folder = Path(outdir) / f"{number:03d}-{title}"
    # The folder has another name until it holds a configuration: a run without one could not be
    # continued.
    unfinished = Path(outdir) / f".{folder.name}.tmp"
    if unfinished.is_symlink() or unfinished.is_file():
        unfinished.unlink()
    elif unfinished.exists():  # A killed process left it.
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    store_config(unfinished, asked.config)
    identity.store(unfinished, asked.preset, asked.source)
    files.retried(lambda: unfinished.rename(folder), folder)
    return folder
