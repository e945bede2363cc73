"""Run folders results/NNN-<dataset>-<preset>/: found again by their configuration."""

import contextlib
import dataclasses
import errno
import fcntl
import json
import math
import os
import re
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging

from pgtf import images
from pgtf.runs import identity
from pgtf.runs.identity import Source, differences

CONFIG_FILE = "config.json"
STATS_FILE = "stats.jsonl"
CHECKPOINT_FOLDER = "checkpoint"
FINISHED_FILE = "finished"  # empty; its presence says that the last image was shown
PROFILE_FOLDER = "profile"  # TensorBoard traces of --profile
LOCK_FILE = "lock"  # empty; locked while a process trains in the folder
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAME = re.compile(r"(\d{3,})-(.+)")


def open_run(outdir, preset, config, dataset, new=False, allow_change=False):
    """Finds the run to continue, or makes the next folder: -> (folder, finished).

    Those of the same dataset and preset come into question, `NNN-<dataset>-<preset>` and any whose
    dataset had the same content under another name. One of the same configuration is continued, or
    reported as finished; the path of the dataset and the length of training may differ, and the log
    says so. With `allow_change` the newest run is continued whatever differs. `accept` is to follow
    when that has worked. A run begins when there is none yet, or with `new`.

    Args:
        outdir: where the run folders are.
        preset: name of the preset.
        config: pgtf.config.Config, fitted to the dataset.
        dataset: pgtf.dataset.Dataset.
        new: whether to begin a run in any case.
        allow_change: whether to continue the newest run although its configuration differs.

    Raises:
        ValueError: if only a run of another configuration is there; tells the differences.
    """
    Path(outdir).mkdir(parents=True, exist_ok=True)
    asked = _Run(None, preset, config, Source.of(dataset))
    title = f"{dataset.name}-{preset}"
    with _alone(outdir):
        runs = [] if new else _candidates(outdir, title, asked)
        if not runs:
            return _create(outdir, title, asked), False
        same = [run for run in runs[: 1 if allow_change else None] if not asked.changes_of(run)]
        exact = [run for run in same if run.num_nimg == asked.num_nimg]
        if same:
            return _continued((exact or same)[0], asked)
        if allow_change:
            return runs[0].folder, False
        raise ValueError(_refusal(runs[0], asked.changes_of(runs[0])))


def with_mirror_of_run(outdir, preset, config, dataset, new=False, allow_change=False):
    """Replaces mirror_augment by that of the run that `open_run` would continue, if there is one.

    The value is left out of the comparison: other differences decide which run that is.
    """
    title = f"{dataset.name}-{preset}"
    asked = _Run(None, preset, config, Source.of(dataset))
    runs = [] if new or not os.path.isdir(outdir) else _candidates(outdir, title, asked)
    begun = [
        config.replace({"dataset.mirror_augment": run.config.dataset.mirror_augment})
        for run in runs
    ]
    for run, changed in zip(runs[: 1 if allow_change else None], begun, strict=False):
        if not dataclasses.replace(asked, config=changed).changes_of(run):
            return changed
    return begun[0] if begun else config


def open_together(workers, *args, **options):
    """`open_run` on the chief: -> (folder, finished) on all workers."""

    def on_chief():
        folder, finished = open_run(*args, **options)
        return json.dumps([str(folder), finished]).encode()

    folder, finished = json.loads(workers.from_chief(on_chief))
    return Path(folder), finished


def accept(folder, config, source):
    """Stores a changed configuration, or place of the dataset, and reopens a finished run."""
    folder = Path(folder)
    preset, before = identity.load(folder)
    if before != source:
        identity.store(folder, preset, source)
    if not (folder / CONFIG_FILE).exists() or _stored_config(folder, config).differences(config):
        (folder / FINISHED_FILE).unlink(missing_ok=True)
        _store_config(folder, config)


def mark_finished(folder):
    """Says in the run folder that the last image was shown."""
    images.open_no_link(Path(folder) / FINISHED_FILE, "a").close()


def locate(outdir, run=None):
    """A run by its folder, or by its number in `outdir`: "3" or "003" -> results/003-demo-demo.

    None is the newest run, that of the highest number.

    Raises:
        ValueError: if there is no such run; names those there are.
    """
    if run is not None and Path(run).is_dir():
        return Path(run)
    runs = _runs(outdir)
    if run is None:
        if not runs:
            raise ValueError(f"no run in {outdir}. Train one with train.py, or give --run.")
        return runs[-1][1]
    for number, folder, _ in runs:
        if str(run).isdecimal() and int(run) == number:
            return folder
    names = ", ".join(folder.name for _, folder, _ in runs) or "none"
    raise ValueError(f"no run {run!r} in {outdir}. Runs there: {names}.")


@contextlib.contextmanager
def claimed(folder):
    """Keeps other processes from training in the same folder; clears away what a killed one left.

    Raises:
        ValueError: if another process is training in it.
        OSError: with a remedy, if the disk gets full meanwhile.
    """
    _refuse_links(Path(folder))
    with images.open_no_link(Path(folder) / LOCK_FILE, "a") as file:
        try:
            # The lock ends with the process, even if that is killed.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder}: another process is training in this folder. Wait for it, stop it, or "
                "start another run with --new."
            ) from None
        except OSError as error:
            logging.warning(
                "%s: this file system has no locks (%s), so two commands that train in the same "
                "folder at once cannot be noticed. Start only one.",
                folder,
                error.strerror,
            )
        for unfinished in Path(folder).rglob("*.tmp"):
            unfinished.unlink()
        try:
            yield
        except (OSError, tf.errors.ResourceExhaustedError) as error:
            # TensorFlow, which writes the events, has an exception of its own.
            reason = error.strerror if isinstance(error, OSError) else error.message
            is_full = isinstance(error, OSError) and error.errno in _FULL
            if not is_full and os.strerror(errno.ENOSPC) not in str(reason):
                raise
            raise OSError(
                f"{folder}: the disk is full, or a quota ({reason}). What was written "
                "before is whole. Make room and run the same command again: it continues."
            ) from error


def newest_first(folder):
    """The checkpoints in a folder; OSError if it is there but cannot be read."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    matches = {name: re.fullmatch(r"checkpoint-(\d+)\.h5", name) for name in names}
    numbers = {Path(folder, name): int(match[1]) for name, match in matches.items() if match}
    return sorted(numbers, key=numbers.__getitem__, reverse=True)


def newest_snapshot(folder):
    """The last network-snapshot-NNNNNN.h5 of a run; ValueError if there is none yet."""
    snapshots = sorted(Path(folder).glob("network-snapshot-*.h5"))
    if not snapshots:
        raise ValueError(f"{folder}: no network snapshot yet. Let the run reach its first one.")
    return snapshots[-1]


@contextlib.contextmanager
def _alone(outdir):
    """Lets one process at a time look for its run, or number it, in a folder."""
    descriptor = os.open(outdir, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run as it is found, or as it is asked for (without a folder)."""

    folder: Path | None
    preset: str | None  # None: not known, as for runs of an earlier version
    config: Any
    source: Source

    @property
    def num_nimg(self):
        """Its length in images."""
        return math.ceil(self.config.training.total_kimg * 1000)

    def changes_of(self, stored):
        """One line per difference that decides numbers, from a run that is there to this one."""
        return differences(stored.config, stored.source, self.config, self.source)

    def is_finished(self):
        return (self.folder / FINISHED_FILE).exists()

    def trained_nimg(self):
        """Images that its newest checkpoint has seen; if it is finished, at least its length."""
        checkpoints = newest_first(self.folder / CHECKPOINT_FOLDER)
        seen = int(checkpoints[0].stem.rpartition("-")[2]) if checkpoints else 0
        return max(seen, self.num_nimg) if self.is_finished() else seen


def _candidates(outdir, title, asked):
    """The runs of the same dataset and preset, newest first."""
    found = []
    for _, folder, stored_title in reversed(_runs(outdir)):
        preset, source = identity.load(folder)
        same_images = source is not None and source.is_same(asked.source)
        if stored_title != title and not (same_images and preset == asked.preset):
            continue
        config = _stored_config(folder, asked.config)
        run = _Run(folder, preset, config, source or Source(os.path.realpath(config.dataset.path)))
        # A finished run of other images elsewhere only has the name in common.
        elsewhere = source is not None and source.path != asked.source.path
        if same_images or not elsewhere or not run.is_finished():
            found.append(run)
    return found


def _continued(run, asked):
    """Says which differences that decide no numbers are accepted: -> (folder, finished)."""
    finished, kimg = run.is_finished(), asked.num_nimg / 1000
    if run.num_nimg != asked.num_nimg:
        finished = run.trained_nimg() >= asked.num_nimg
        if finished:
            trained = run.trained_nimg() / 1000
            logging.info(
                "%s was trained to %g kimg already, %g are asked", run.folder, trained, kimg
            )
        else:
            before = run.num_nimg / 1000
            logging.info("%s: continuing to %g kimg instead of %g", run.folder, kimg, before)
    if not finished and run.source.path != asked.source.path:
        logging.info(
            "%s: the dataset moved: continuing with %s instead of %s, whose images are the same",
            run.folder,
            asked.source.path,
            run.source.path,
        )
    return run.folder, finished


def _refusal(run, changes):
    stage = "finished" if run.is_finished() else "unfinished"
    return (
        f"{run.folder} is {stage} and has another configuration: {'; '.join(changes)}. Continue it "
        "all the same with --allow_config_change, start another run with --new, or undo the change."
    )


def _create(outdir, title, asked):
    runs = _runs(outdir)
    number = runs[-1][0] + 1 if runs else 0
    folder = Path(outdir) / f"{number:03d}-{title}"
    # Under another name until its configuration is in it: without, it could not be continued.
    unfinished = Path(outdir) / f".{folder.name}.tmp"
    if unfinished.is_symlink() or unfinished.is_file():
        unfinished.unlink()
    elif unfinished.exists():  # what a killed process left
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    _store_config(unfinished, asked.config)
    identity.store(unfinished, asked.preset, asked.source)
    unfinished.rename(folder)
    return folder


def _refuse_links(folder):
    """Raises ValueError if a folder that a run writes into is a link, and leads elsewhere."""
    profile = folder / PROFILE_FOLDER
    for path in (folder / CHECKPOINT_FOLDER, profile, *profile.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path}: must be a folder of its own to be written into, not a link.")


def _store_config(folder, config):
    images.write_atomically(folder / CONFIG_FILE, config.to_json().encode())


def _stored_config(folder, config):
    try:
        return type(config).from_json((folder / CONFIG_FILE).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}/{CONFIG_FILE}: {error} Start another run with --new.") from None


def _runs(outdir):
    """(number, folder, title) of all runs, in order."""
    folders = Path(outdir).iterdir() if Path(outdir).is_dir() else ()
    matches = [(folder, _NAME.fullmatch(folder.name)) for folder in folders if folder.is_dir()]
    return sorted((int(match[1]), folder, match[2]) for folder, match in matches if match)
