"""Measures snapshots while a run trains: metric-*.jsonl, TensorBoard scalars, the best snapshot."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from pgtf import files
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.events import Events
from pgtf.metrics import image_sets, records
from pgtf.metrics.datasets import Dataset, Labels, labels_of
from pgtf.metrics.evaluator import Evaluator
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
        evaluator=make_evaluator(
            plan, reals, options, dataset_folder=dataset.path, dataset=dataset
        ),
        every=plan.every,
        seed=options.seed,
        labels=labels_of(dataset),
        depth=Depth.of(dataset),
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
    """Measurements of the training loop: every n-th snapshot in the run folder and the last one.

    Errors are logged and do not end the training.

    Args:
        folder: run folder.
        evaluator: the metrics.
        every: snapshots from one evaluation to the next.
        seed: seed of the latents.
        labels: function that samples labels, or None; see `labels_of`.
        depth: type and range of the images.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        evaluator: Evaluator,
        every: int,
        seed: int,
        labels: Labels | None = None,
        depth: Depth = EIGHT_BITS,
    ) -> None:
        self._folder, self._evaluator = Path(folder), evaluator
        self._every, self._seed, self._labels, self._depth = every, seed, labels, depth
        self._events = Events(folder)
        self._last_nimg = -1  # of the last events

    def is_due(self, cur_nimg: int, final: bool) -> bool:
        """True if the snapshot written after `cur_nimg` images is to be measured."""
        kimg = cur_nimg // 1000
        # Count the files, so that a resumed run measures the same snapshots.
        names = [entry.name for entry in files.entries(self._folder)]
        numbers = [number for number in map(records.kimg_of, names) if number is not None]
        number = sum(other <= kimg for other in numbers)
        return kimg in numbers and (final or number % self._every == 0)

    def is_recorded(self, cur_nimg: int) -> bool:
        """True if the folder has all records of the snapshot written after `cur_nimg` images."""
        return all(
            any(
                records.matches(record, settings | _place(cur_nimg))
                for record in records.load(self._folder, settings["metric"])
            )
            for settings in self._evaluator.settings()
        )

    def measure(self, state: Any, check: Callable[[], None]) -> list[Record]:
        """Measures state.Gs. Returns no records if that fails. See `Evaluator` for `check`."""
        place = _place(state.progress.cur_nimg)
        if place["nimg"] <= self._last_nimg:
            # After a rollback in another file: the events that it repeats were cut off this one.
            self._events = Events(self._folder)
        self._last_nimg = place["nimg"]
        try:
            args = (place["snapshot"], state.Gs, self._seed, self._labels, self._depth, state.D)
            fakes = image_sets.of_network(*args)
            return self._evaluator(fakes, check, **place)
        except (ValueError, OSError, MemoryError, tf.errors.OpError) as error:
            logging.error("%s was not measured: %s", place["snapshot"], error)
            return []

    def record(self, found: list[Record]) -> None:
        """Stores records, each in place of one that was made before training went back."""
        settings = {one["metric"]: one for one in self._evaluator.settings()}
        for record in found:
            try:
                keep_best(self._folder, record)
                key = settings[record["metric"]] | _place(record["nimg"])
                records.replace(self._folder, record, key)
                self._report(record)
            except (ValueError, OSError) as error:
                logging.error("%s was not recorded: %s", record["snapshot"], error)

    def _report(self, record: Record) -> None:
        values = {f"metrics/{name}": value for name, value in record["values"].items()}
        self._events.scalars(values, record["nimg"])
        logging.info("%s %s (%s)", record["metric"], summary(record), records.numbers(record))


def _place(cur_nimg: int) -> dict[str, Any]:
    """Returns the fields of a record that name the snapshot."""
    kimg = cur_nimg // 1000
    return {"snapshot": f"network-snapshot-{kimg:06d}.h5", "kimg": kimg, "nimg": cur_nimg}


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
        if "value" in rival and records.matches(rival, settings)
    ]
    if _CHOOSE[measure.better]([record["value"], *rivals]) != record["value"]:
        return False
    snapshot = files.read_at_once(Path(folder) / record["snapshot"])
    files.write_atomically(Path(folder) / f"best-{record['metric']}.h5", snapshot)
    return True
