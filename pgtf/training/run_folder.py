"""Run folders results/NNN-<dataset>-<preset>/: found again by their configuration."""

import contextlib
import errno
import fcntl
import json
import os
import re
from pathlib import Path

import tensorflow as tf
from absl import logging

from pgtf import images

CONFIG_FILE = "config.json"
STATS_FILE = "stats.jsonl"
CHECKPOINT_FOLDER = "checkpoint"
FINISHED_FILE = "finished"  # empty; its presence says that the last image was shown
LOCK_FILE = "lock"  # empty; locked while a process trains in the folder
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAME = re.compile(r"(\d{3,})-(.+)")


def open_run(outdir, title, config, new=False, allow_change=False):
    """Finds the run to continue, or makes the next folder NNN-<title>: -> (folder, finished).

    A run of the same title and configuration is continued, or reported as finished. A changed
    configuration starts another run only when the newest one is finished, or with `new`; with
    `allow_change` the newest run is continued, and `adopt` is to follow when that has worked.

    Raises:
        ValueError: if the newest run is unfinished and its configuration differs; tells how.
    """
    Path(outdir).mkdir(parents=True, exist_ok=True)
    with _alone(outdir):
        folders = [folder for _, folder, found in _runs(outdir) if found == title]
        for folder in [] if new else reversed(folders):
            differences = _stored_config(folder, config).differences(config)
            finished = (folder / FINISHED_FILE).exists()
            if not differences:
                return folder, finished
            if folder == folders[-1] and allow_change:
                return folder, False
            if folder == folders[-1] and not finished:
                raise ValueError(
                    f"{folder} is unfinished and has another configuration: "
                    f"{'; '.join(differences)}. Continue it all the same with "
                    "--allow_config_change, start another run with --new, or undo the change."
                )
        return _create(outdir, title, config), False


def with_mirror_of_run(outdir, title, config, new=False, allow_change=False):
    """Replaces mirror_augment by that of the run that `open_run` continues, if there is one.

    The value is left out of the comparison: other differences decide which run that is.
    """
    folders = [folder for _, folder, found in _runs(outdir) if found == title]
    for folder in [] if new else reversed(folders):
        stored = _stored_config(folder, config)
        mirror = stored.dataset.mirror_augment
        changed = config.replace({"dataset.mirror_augment": mirror})
        is_open = allow_change or not (folder / FINISHED_FILE).exists()
        if not stored.differences(changed) or (folder == folders[-1] and is_open):
            return changed
    return config


def open_together(workers, *args, **options):
    """`open_run` on the chief: -> (folder, finished) on all workers."""

    def on_chief():
        folder, finished = open_run(*args, **options)
        return json.dumps([str(folder), finished]).encode()

    folder, finished = json.loads(workers.from_chief(on_chief))
    return Path(folder), finished


def adopt(folder, config):
    """Makes a changed configuration that of a run, which it takes further."""
    (Path(folder) / FINISHED_FILE).unlink(missing_ok=True)
    _store_config(Path(folder), config)


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
    with open(Path(folder) / LOCK_FILE, "w") as file:
        try:
            fcntl.flock(
                file, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # ends with the process, even if killed
        except BlockingIOError:
            raise ValueError(
                f"{folder}: another process is training in this folder. Wait for it, stop it, or "
                "start another run with --new."
            ) from None
        except OSError:
            logging.warning("%s: this file system has no locks; start no second process", folder)
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


def _create(outdir, title, config):
    runs = _runs(outdir)
    number = runs[-1][0] + 1 if runs else 0
    folder = Path(outdir) / f"{number:03d}-{title}"
    # Under another name until its configuration is in it: without, it could not be continued.
    unfinished = Path(outdir) / f".{folder.name}.tmp"
    unfinished.mkdir(parents=True, exist_ok=True)
    _store_config(unfinished, config)
    unfinished.rename(folder)
    return folder


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
