"""Checkpoints of a run: written and checked by the chief, and sent by it to the other workers."""

import hashlib
import json

from absl import logging

from pgtf.interop import hdf5
from pgtf.runs import identity
from pgtf.runs.run_folder import STATS_FILE, newest_first

KEPT = 2  # the newest, and the one before in case the newest is damaged
_FORMAT = "pgtf-checkpoint"


class ConfigChanged(ValueError):
    """The checkpoint was written with another configuration."""


class Checkpoints:
    """The rolling checkpoints in a folder, for one configuration."""

    def __init__(self, folder, config, source, workers, allow_config_change=False):
        """Keeps its arguments.

        Args:
            folder: where they are; made when the first is written. Only the chief looks at it.
            config: the configuration of the run, stored and compared.
            source: identity.Source, the dataset of the run, stored and compared.
            workers: workers.Workers.
            allow_config_change: whether to continue from a checkpoint of another configuration.
        """
        self._folder = folder
        self._config = config
        self._source = source
        self._workers = workers
        self._allow_config_change = allow_config_change

    def save(self, state):
        """Writes a checkpoint on the chief, then removes all but the newest ones.

        Raises:
            OSError: if it cannot be written; those before it are untouched.
        """
        if not self._workers.is_chief:
            return
        groups, attributes = state.pack()
        text = self._config.to_json()
        attributes |= {"format": _FORMAT, "config": text, "config_sha256": _sha256(text)}
        attributes["dataset"] = self._source.to_json()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"checkpoint-{state.progress.cur_nimg:09d}.h5"
        hdf5.write_hdf5(path, groups, attributes)
        for old in newest_first(self._folder)[KEPT:]:
            old.unlink()

    def restore(self, state, healthy=False):
        """Puts the newest intact checkpoint into `state`, on all workers.

        Args:
            state: TrainingState; unchanged when there is no checkpoint.
            healthy: whether to pass over those written while updates were being skipped.

        Returns:
            Whether there was one.

        Raises:
            ConfigChanged: if its configuration differs; names the differences.
            OSError: if it cannot be read now; it may be intact, and none before it is used.
            ValueError: if there are checkpoints but all are damaged.
        """
        content = self._workers.from_chief(lambda: self._restore_on_chief(state, healthy))
        if content and not self._workers.is_chief:
            state.unpack(*hdf5.parse(content, "checkpoint of the chief"), "checkpoint of the chief")
        return bool(content)

    def _restore_on_chief(self, state, healthy):
        """As `restore`, but for the chief: -> what the other workers need, b"" for nothing."""
        for path in newest_first(self._folder):
            try:
                content = hdf5.read_content(path)
                groups, attributes = hdf5.parse(content, path)
            except ValueError as error:  # damaged; an OSError says nothing about the content
                logging.warning("%s Trying the checkpoint before.", error)
                # Out of the way: it must not count as one of those kept.
                path.rename(path.with_suffix(".damaged"))
                continue
            self._check(attributes, path)
            if healthy and json.loads(attributes["progress"])["skipped_in_row"]:
                continue
            state.unpack(groups, attributes, path)
            logging.info("Resuming from %s", path)
            return content if self._workers.num > 1 else b"nobody needs it"
        if not newest_first(self._folder):
            self._check_that_nothing_is_lost()
        return b""

    def _check_that_nothing_is_lost(self):
        """Without a checkpoint a run begins, unless it has begun before."""
        remedy = "Start another run with --new, perhaps from the last snapshot with --resume_pkl."
        if any(self._folder.glob("*.damaged")):
            raise ValueError(f"{self._folder}: all checkpoints are damaged. {remedy}")
        if (self._folder.parent / STATS_FILE).exists():
            raise ValueError(
                f"{self._folder}: no checkpoint, but the run has begun. Bring it back. {remedy}"
            )

    def _check(self, attributes, path):
        if attributes.get("format") != _FORMAT:
            raise ValueError(f"{path}: not a checkpoint of a training run.")
        if self._allow_config_change:
            return
        before = type(self._config).from_json(attributes["config"])
        source = identity.Source.from_json(attributes.get("dataset"), before)
        # There is none when only the program is newer: its new fields have the value they always
        # had.
        if differences := identity.differences(before, source, self._config, self._source):
            raise ConfigChanged(
                f"{path} is of another configuration: {'; '.join(differences)}. Continue it all "
                "the same with --allow_config_change, start another run with --new, or undo the "
                "change."
            )


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
