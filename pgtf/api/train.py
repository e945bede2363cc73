"""`pgtf.train`: what train.py does, for notebooks and scripts."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pgtf.api import callbacks as callbacks_
from pgtf.api import training
from pgtf.api.configuration import check_files, configured
from pgtf.api.display import NotebookLine, Silence, in_notebook
from pgtf.api.options import from_keywords
from pgtf.api.run import Run
from pgtf.distribution.workers import lost_workers_reported
from pgtf.foreign.terminal import one_line
from pgtf.runs import log
from pgtf.training.callbacks import Callback
from pgtf.training.config import RunConfig
from pgtf.training.progress import Display


def train(
    dataset: str | os.PathLike[str] | None = None,
    preset: str | None = None,
    total_kimg: float | None = None,
    callbacks: Iterable[callbacks_.Given] | callbacks_.Given = (),
    *,
    outdir: str | os.PathLike[str] = "results",
    progress: bool = True,
    **overrides: Any,
) -> Run:
    """Trains networks, as train.py does: the same call again continues an unfinished run.

    Ctrl-C, or the stop button of a notebook, ends the call after a checkpoint; a second one ends it
    at once. SIGTERM ends the process after a checkpoint.

    Args:
        dataset: folder of a dataset, or of images, of which a dataset is made first; None = the
            preset's, which is the demo dataset without `preset`.
        preset: name of the base configuration, see `pgtf.presets()`; None = demo, with a dataset
            the v2 preset of the number of GPUs.
        total_kimg: length of training, thousands of images; None = the preset's.
        callbacks: functions of the statistics of a tick, or objects with a method `on_tick`, such
            as `pgtf.Callback`; called at the end of each tick, in order. One alone needs no list.
        outdir: folder that receives <number>-<dataset>-<preset>/.
        progress: True shows one line in a notebook, the lines of train.py elsewhere; False shows
            warnings only. log.txt in the run folder has all lines in any case.
        **overrides: further options, named as the flags of train.py (gpus=0, seed=1, minibatch=8,
            resolution=64, metrics="swd:1k", new=True, fit_schedule=True, ...), and fields of the
            configuration, named as in config.json: lod_training_kimg=2, or
            **{"G.fmap_max": 64} for one of several parts that have the field.

    Returns:
        The run, finished or interrupted.

    Raises:
        Diverged: if gradients stay non-finite (a RuntimeError).
        MemoryError: if a stage does not fit into the memory of the device.
        OSError: if a file cannot be opened, read or written.
        ValueError: if an argument is wrong, or the run is refused because it differs from the one
            in the folder; the message names the remedies.
    """
    keywords = {"dataset": dataset, "preset": preset, "total_kimg": total_kimg, "outdir": outdir}
    options = from_keywords(**keywords, **overrides)
    check_files(options, configured(options)[1])
    observer = _Observer(callbacks if isinstance(callbacks, Iterable) else [callbacks], progress)
    with log.printed(observer.level), lost_workers_reported():
        outcome = training.run(options, observer)
    run = Run(outcome.folder)
    if outcome.nothing_left and progress:
        observer.show_end(run)
        remedy = "Train it longer with a larger total_kimg, or another with new=True."
        print(f"{one_line(run.folder)} is finished. {remedy}")
    if outcome.signum == signal.SIGTERM:
        signal.raise_signal(signal.SIGTERM)  # Whoever sent it wants the process to end.
    if outcome.signum is not None and progress:
        print(f"Stopped, with a checkpoint in {one_line(run.folder)}. The same call continues it.")
    return run


class _Observer:
    """Shows a run in a notebook, or in a script, and calls the user's callbacks."""

    def __init__(self, given: Iterable[callbacks_.Given], progress: bool) -> None:
        self.callbacks: list[Callback] = [callbacks_.for_loop(callback) for callback in given]
        self.level = logging.INFO if progress else logging.WARNING
        self.display: Display | None = None if progress else Silence()
        self._line: NotebookLine | None = None
        if progress and in_notebook():
            self.level = logging.WARNING
            self.display = self._line = NotebookLine()
            self.callbacks.insert(0, self._line.on_tick)

    def begin(self, folder: Path, config: RunConfig, notes: Sequence[str]) -> None:
        """Prints the notes about a run in a notebook; the log does elsewhere."""
        if self._line is not None:
            self._line.total_kimg = config.training.total_kimg
            for note in notes:
                print(one_line(note))

    def show_end(self, run: Run) -> None:
        """Shows the end of a run that was finished before."""
        if self._line is not None and (stats := run.stats):
            config = run.config
            self._line.total_kimg = config.training.total_kimg
            self._line.show_end(stats[-1], config.G.base)
