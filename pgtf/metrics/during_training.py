"""Measures snapshots while a run trains: metric-*.jsonl, TensorBoard scalars, the best snapshot."""

import functools
import os
import shutil
from pathlib import Path

import tensorflow as tf
from absl import logging

from pgtf.metrics import image_sets, records
from pgtf.metrics.measures import BEST
from pgtf.metrics.plan import parse_plan
from pgtf.metrics.setup import make_evaluator

SNAPSHOTS = "network-snapshot-*.h5"


def prepare(text, dataset, options, mirror_augment=False):
    """Checks and loads what `--metrics=text` needs, before a run folder is made.

    Args:
        text: "swd:16k,fid:10k@every=10".
        dataset: the pgtf.dataset.Dataset that is trained on.
        options: pgtf.metrics.setup.MetricOptions.
        mirror_augment: whether the reals are mirrored at random in training.

    Returns:
        A function that takes the run folder and returns a `SnapshotMetrics`.

    Raises:
        OSError, ValueError: as `parse_plan` and `make_evaluator`.
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


def prepare_on_chief(workers, text, *args):
    """`prepare` on the chief of several workers: -> [what it returns]; [] elsewhere, or for None.

    Its errors are raised on every worker.
    """
    found = []

    def on_chief():
        if text is not None:
            found.append(prepare(text, *args))
        return b""

    workers.broadcast(on_chief)
    return found


class SnapshotMetrics:
    """What the training loop calls at the end of each tick.

    Evaluates every n-th snapshot in the run folder and the last one, just after it was written.
    What goes wrong here is logged and does not end the training.

    Args:
        folder: run folder.
        evaluator: pgtf.metrics.evaluator.Evaluator.
        every: snapshots from one evaluation to the next.
        seed: of the latents.
        labels: (np.random.RandomState, n) -> [n, L], or None; see image_sets.labels_of.
    """

    def __init__(self, folder, evaluator, every, seed, labels=None):
        self._folder, self._evaluator = Path(folder), evaluator
        self._every, self._seed, self._labels = every, seed, labels
        self._writer = None

    def __call__(self, tick, state, final):
        kimg = state.progress.cur_nimg // 1000
        snapshot = self._folder / f"network-snapshot-{kimg:06d}.h5"
        if not snapshot.exists():
            return
        # Counted by the files, so that a resumed run measures the same ones.
        number = sum(records.kimg_of(path) <= kimg for path in self._folder.glob(SNAPSHOTS))
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

    def _report(self, found, cur_nimg):
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default(step=cur_nimg):
            for record in found:
                for name, value in record["values"].items():
                    tf.summary.scalar(f"metrics/{name}", value)
                logging.info("%s %s", record["metric"], summary(record))
        self._writer.flush()


def summary(record):
    """The values of a record in one line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in record["values"].items())


def keep_best(folder, record):
    """Copies the snapshot of a record to best-METRIC.h5 if no comparable record is better.

    Returns:
        Whether it is the best.
    """
    choose = BEST.get(record["metric"])
    if choose is None:
        return False
    settings = {name: record.get(name) for name in records.COMPARABLE}
    rivals = [
        rival["value"]
        for rival in records.load(folder, record["metric"])
        if records.matches(rival, settings)
    ]
    if choose([record["value"], *rivals]) != record["value"]:
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
