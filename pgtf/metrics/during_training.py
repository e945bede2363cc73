"""Measures snapshots while a run trains: metric-*.jsonl, TensorBoard scalars, the best snapshot."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from pgtf.metrics import image_sets, records
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.image_sets import Dataset, Labels
from pgtf.metrics.measures import MEASURES
from pgtf.metrics.plan import parse_plan
from pgtf.metrics.records import Record
from pgtf.metrics.setup import MetricOptions, make_evaluator

SNAPSHOTS = "network-snapshot-*.h5"
_CHOOSE = {"lower": min, "higher": max}

Prepared = Callable[[Path], "SnapshotMetrics"]  # takes the run folder


def prepare(
    text: str, dataset: Dataset, options: MetricOptions, mirror_augment: bool = False
) -> Prepared:
    """Checks and loads everything that `--metrics=text` needs, before a run folder is made.

    Args:
        text: "swd:16k,fid:10k@every=10".
        dataset: the training data.
        options: settings of the metrics.
        mirror_augment: True if the reals are mirrored at random in training.

    Returns:
        a function that takes the run folder and returns a `SnapshotMetrics`.

    Raises:
        OSError, ValueError: see `parse_plan` and `make_evaluator`.
    """
    plan = parse_plan(text)
    reals = image_sets.of_dataset(dataset, options.seed if mirror_augment else None)
    return functools.partial(
        SnapshotMetrics,
        evaluator=make_evaluator(plan, reals, options, dataset_folder=dataset.path),
        every=plan.every,
        seed=options.seed,
        labels=image_sets.labels_of(dataset),
    )


def prepare_on_chief(
    workers: Any,  # pgtf.distribution.workers.Workers
    text: str | None,
    dataset: Dataset,
    options: MetricOptions,
    mirror_augment: bool = False,
) -> list[Prepared]:
    """Calls `prepare` on the chief alone and returns the result in a list.

    The list is empty on other workers, or if `text` is None. Errors are raised on every worker.
    """
    found = []

    def on_chief() -> bytes:
        if text is not None:
            found.append(prepare(text, dataset, options, mirror_augment))
        return b""

    workers.broadcast(on_chief)
    return found


class SnapshotMetrics:
    """Callback of the training loop that measures snapshots, called at the end of each tick.

    Evaluates every n-th snapshot in the run folder and the last one, just after it was written.
    Errors are logged and do not end the training.

    Args:
        folder: run folder.
        evaluator: the metrics.
        every: snapshots from one evaluation to the next.
        seed: seed of the latents.
        labels: function that samples labels, or None; see image_sets.labels_of.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        evaluator: Evaluator,
        every: int,
        seed: int,
        labels: Labels | None = None,
    ) -> None:
        self._folder, self._evaluator = Path(folder), evaluator
        self._every, self._seed, self._labels = every, seed, labels
        self._writer: Any = None
        self._last_nimg = -1  # of the last events

    def __call__(self, tick: Any, state: Any, final: bool) -> None:
        kimg = state.progress.cur_nimg // 1000
        snapshot = self._folder / f"network-snapshot-{kimg:06d}.h5"
        if not snapshot.exists():
            return
        # Count the files, so that a resumed run measures the same snapshots.
        numbers = map(records.kimg_of, self._folder.glob(SNAPSHOTS))
        number = sum(other is not None and other <= kimg for other in numbers)
        if not final and number % self._every:
            return
        fakes = image_sets.of_network(snapshot.name, state.Gs, self._seed, self._labels)
        try:
            found = self._evaluator(fakes, snapshot=snapshot.name, kimg=kimg)
            for record in found:
                records.append(self._folder, record)
                keep_best(self._folder, record)
            self._report(found, state.progress.cur_nimg)
        except (ValueError, OSError, MemoryError, tf.errors.OpError) as error:
            logging.error("%s was not measured: %s", snapshot.name, error)

    def _report(self, found: list[Record], cur_nimg: int) -> None:
        # After a rollback in another file: the events that it repeats were cut off this one.
        if self._writer is None or cur_nimg <= self._last_nimg:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        self._last_nimg = cur_nimg
        with self._writer.as_default(step=cur_nimg):
            for record in found:
                for name, value in record["values"].items():
                    tf.summary.scalar(f"metrics/{name}", value)
                logging.info(
                    "%s %s (%s)", record["metric"], summary(record), records.numbers(record)
                )
        self._writer.flush()


def summary(record: Record) -> str:
    """Formats the values of a record in one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in record["values"].items())


def keep_best(folder: str | os.PathLike[str], record: Record) -> bool:
    """Copies the snapshot of a record to best-METRIC.h5 if no comparable record is better.

    Returns:
        True if it is the best.
    """
    measure = MEASURES[record["metric"]]
    if measure.better is None:
        return False
    fields = (*records.COMPARABLE, *measure.network_fields)
    settings = {name: record.get(name) for name in fields}
    rivals = [
        rival["value"]
        for rival in records.load(folder, record["metric"])
        if records.matches(rival, settings)
    ]
    if _CHOOSE[measure.better]([record["value"], *rivals]) != record["value"]:
        return False
    best = Path(folder) / f"best-{record['metric']}.h5"
    temporary = best.with_name(f"{best.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open(Path(folder) / record["snapshot"], "rb") as source, open(temporary, "xb") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(temporary, best)
    finally:
        temporary.unlink(missing_ok=True)
    return True
