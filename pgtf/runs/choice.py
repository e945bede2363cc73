"""The choice between continuing a run and beginning another: the table in docs/training.md."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pgtf.dataset import Dataset
from pgtf.runs import identity
from pgtf.runs.identity import (
    NEW_NETWORKS,
    Beginning,
    Identity,
    Source,
    differences,
    output_differences,
)
from pgtf.runs.interfaces import RunConfig
from pgtf.runs.run_folder import (
    CHECKPOINT_FOLDER,
    is_finished,
    list_runs,
    load_config,
    newest_first,
)


@dataclasses.dataclass(frozen=True)
class Request:
    """The run that a command asks for.

    Attributes:
        outdir: folder of the run folders.
        preset: name of the preset.
        identity: configuration, dataset, and networks to begin with.
        dataset_name: name of the dataset's folder, a part of the name of a new run.
        siblings: presets from which the number of GPUs chose this one; () if it was stated.
        new: begin a run in any case.
        allow_change: continue the newest run although its configuration differs.
    """

    outdir: str | os.PathLike[str]
    preset: str
    identity: Identity
    dataset_name: str
    siblings: tuple[str, ...] = ()
    new: bool = False
    allow_change: bool = False

    @classmethod
    def of(
        cls,
        outdir: str | os.PathLike[str],
        preset: str,
        config: RunConfig,
        dataset: Dataset,
        *,
        beginning: Beginning = NEW_NETWORKS,
        mirror_is_default: bool = False,
        former: Sequence[Mapping[str, Any]] = (),
        siblings: tuple[str, ...] = (),
        new: bool = False,
        allow_change: bool = False,
    ) -> Request:
        """Describes the run of a configuration that is made for an opened dataset."""
        asked = Identity(config, Source.of(dataset), beginning, mirror_is_default, former)
        return cls(outdir, preset, asked, dataset.name, siblings, new, allow_change)

    def with_config(self, config: RunConfig) -> Request:
        """Returns a copy with a configuration in which nothing is left to be chosen."""
        asked = dataclasses.replace(
            self.identity, config=config, mirror_is_default=False, former=()
        )
        return dataclasses.replace(self, identity=asked)

    def title(self, preset: str | None = None) -> str:
        """Returns the name of a run folder without its number; control characters become `_`."""
        return re.sub(r"[\x00-\x1f\x7f]", "_", f"{self.dataset_name}-{preset or self.preset}")

    @property
    def presets(self) -> tuple[str, ...]:
        """Presets whose runs this command may mean."""
        return (self.preset, *self.siblings)


class Choice(NamedTuple):
    """The run that a command means."""

    folder: Path | None  # None = a new one
    finished: bool  # nothing is left to train
    config: RunConfig  # to train with
    notes: tuple[str, ...] = ()  # differences from the stored run, a line each


def choose(request: Request) -> Choice:
    """Decides which run a command means. Writes nothing.

    A run of the same identity (`identity.differences`) is continued, or reported as finished. Among
    several, one that differs in nothing at all comes first, then one of the same name, then the
    newest. Otherwise a run of the same dataset and preset, or of a dataset in the same place or of
    the same name, is in the way: the command is refused, unless `new` or `allow_change` says what
    to do. With neither in the way, a run begins.

    Raises:
        ValueError: if the command is refused; names the differences and the remedies.
    """
    choice = _choose(request)
    return choice._replace(notes=tuple(note.replace("\n", "\\n") for note in choice.notes))


def _choose(request: Request) -> Choice:
    asked = request.identity
    runs = [] if request.new else _runs_of_dataset(request)
    if same := [run for run in runs if not differences(run.identity, asked)]:
        return _continued(min(same, key=lambda run: _distance(run, asked)), same, asked)
    if rivals := [run for run in runs if run.preset in request.presets]:
        return _changed(rivals[0], request)
    notes = [
        f"{run.folder}, on this dataset, is unfinished: --preset={run.preset} continues it"
        for run in runs
        if run.preset is not None and not is_finished(run.folder)
    ]
    return Choice(None, False, asked.config, tuple(notes))


@dataclasses.dataclass(frozen=True)
class _Run:
    """A stored run."""

    folder: Path
    preset: str | None  # None if unknown
    identity: Identity

    @property
    def stage(self) -> str:
        return "finished" if is_finished(self.folder) else "unfinished"

    def trained_nimg(self) -> int:
        """Images that the newest checkpoint has seen; for a finished run at least its length."""
        checkpoints = newest_first(self.folder / CHECKPOINT_FOLDER)
        seen = int(checkpoints[0].stem.rpartition("-")[2]) if checkpoints else 0
        return max(seen, self.identity.num_nimg) if is_finished(self.folder) else seen


def _runs_of_dataset(request: Request) -> list[_Run]:
    """Lists the runs of the same images, and those in whose place or under whose name they are.

    Runs named like the new one come first, then newest first.
    """
    found: list[tuple[bool, _Run]] = []
    titles = {request.title(preset) for preset in request.presets}
    for _, folder, title in reversed(list_runs(request.outdir)):
        is_near = title in titles
        try:
            record = identity.load(folder)
        except ValueError:
            if is_near:
                raise
            continue  # a run of something else
        # A run of an earlier version does not store its preset, which ends its name.
        names = (name for name in request.presets if title.endswith(f"-{name}"))
        preset = record.preset or next(names, None)
        if record.source is not None:
            is_near |= record.source.is_near(request.identity.source)
        try:
            config = load_config(folder, request.identity.config)
        except ValueError:
            if is_near and preset in request.presets:
                raise
            continue  # a run of something else, or of another preset
        source = record.source or Source(os.path.realpath(config.dataset.path))
        run = _Run(folder, preset, Identity(config, source, record.beginning))
        if is_near or (record.source is None and _may_be_near(run, request.identity)):
            found.append((title == request.title(), run))
    return [run for _, run in sorted(found, key=lambda entry: not entry[0])]


def _may_be_near(run: _Run, asked: Identity) -> bool:
    """True if a run without a record of its images may have had these."""
    if run.identity.source.is_near(asked.source):
        return True
    return not differences(dataclasses.replace(run.identity, source=asked.source), asked)


def _distance(run: _Run, asked: Identity) -> tuple[bool, bool, bool]:
    """Tells apart runs of the same identity: less is closer to what the command says."""
    stored = run.identity
    return (
        stored.config.dataset.mirror_augment != asked.config.dataset.mirror_augment,
        _omits_beginning(stored, asked),
        stored.num_nimg != asked.num_nimg,
    )


def _omits_beginning(stored: Identity, asked: Identity) -> bool:
    """True if the command does not name the file whose networks the run began with."""
    began, names = stored.beginning, asked.beginning
    return began is not None and names is not None and names.is_new and not began.is_new


def _continued(run: _Run, same: list[_Run], asked: Identity) -> Choice:
    """Accepts the differences that change no numbers, each with a note."""
    notes = []
    stored, finished, kimg = run.identity, is_finished(run.folder), asked.num_nimg / 1000
    if stored.num_nimg != asked.num_nimg:
        finished = run.trained_nimg() >= asked.num_nimg
        if finished:
            trained = run.trained_nimg() / 1000
            notes.append(
                f"{run.folder} was trained to {trained:g} kimg already, {kimg:g} are asked"
            )
        else:
            before = stored.num_nimg / 1000
            notes.append(f"{run.folder}: continuing to {kimg:g} kimg instead of {before:g}")
    if not finished and (changes := output_differences(stored, asked)):
        notes.append(f"{run.folder}: from now on {'; '.join(changes)}")
    if not finished and stored.source.path != asked.source.path:
        notes.append(
            f"{run.folder}: the dataset moved: continuing with {asked.source.path} instead of "
            f"{stored.source.path}, whose images are the same"
        )
    if _omits_beginning(stored, asked):
        notes.append(f"{run.folder} began with the networks of {stored.beginning}")
    notes += [
        f"{other.folder} is unfinished too and has the same configuration. To continue it, move it "
        "to a folder of its own and name that as --outdir"
        for other in same
        if other is not run and not finished and other.stage == "unfinished"
    ]
    return Choice(run.folder, finished, asked.config_in(stored), tuple(notes))


def _changed(run: _Run, request: Request) -> Choice:
    """Continues a run of another identity if that is allowed."""
    asked = request.identity
    changes = "; ".join(differences(run.identity, asked))
    if not request.allow_change:
        start = f"{run.folder} is {run.stage} and has another configuration: {changes}."
        if run.preset != request.preset:
            raise ValueError(
                f"{start} --gpus now chooses preset {request.preset} instead of {run.preset}. "
                f"Continue it with --preset={run.preset} --allow_config_change, or start another "
                "run with --new."
            )
        raise ValueError(
            f"{start} Continue it all the same with --allow_config_change, start another run with "
            "--new, or undo the change."
        )
    if run.trained_nimg() >= asked.num_nimg:
        raise ValueError(
            f"{run.folder} was trained to {run.trained_nimg() / 1000:g} kimg already, so nothing "
            f"would be trained with {changes}. Train it longer with --total_kimg=N, or start "
            "another run with --new."
        )
    note = f"{run.folder}: continuing although the configuration was changed: {changes}"
    return Choice(run.folder, False, asked.config_in(run.identity), (note,))
