"""Checkpoints of a run: written and checked by the chief, which sends them to other workers."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from pgtf import files
from pgtf.interop import hdf5
from pgtf.runs import identity
from pgtf.runs.interfaces import RunConfig, State, Workers
from pgtf.runs.run_folder import STATS_FILE, newest_first

KEPT = 2  # the newest, and the previous one in case the newest is damaged
_FORMAT = "pgtf-checkpoint"


class ConfigChanged(ValueError):
    """The checkpoint was written with another configuration."""


class Checkpoints:
    """The rolling checkpoints in a folder, for one configuration."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        source: identity.Source,
        workers: Workers,
        allow_config_change: bool = False,
    ) -> None:
        """Stores the arguments.

        Args:
            folder: folder of the checkpoints, created with the first one. Only the chief reads it.
            config: configuration of the run, stored and compared.
            source: dataset of the run, stored and compared.
            workers: workers of the run.
            allow_config_change: continue from a checkpoint of another configuration.
        """
        self._folder = folder
        self._config = config
        self._source = source
        self._workers = workers
        self._allow_config_change = allow_config_change

    def save(self, state: State) -> None:
        """Writes a checkpoint on the chief, then removes all but the newest ones.

        Raises:
            OSError: if it cannot be written; earlier ones are untouched.
        """
        if not self._workers.is_chief:
            return
        groups, attributes = state.pack()
        text = self._config.to_json()
        attributes |= {"format": _FORMAT, "config": text, "config_sha256": _sha256(text)}
        attributes["dataset"] = self._source.to_json()
        files.retried(lambda: self._folder.mkdir(parents=True, exist_ok=True), self._folder)
        path = self._folder / f"checkpoint-{state.progress.cur_nimg:09d}.h5"
        hdf5.write_hdf5(path, groups, attributes)
        for old in newest_first(self._folder)[KEPT:]:
            files.retried(functools.partial(old.unlink, missing_ok=True), old)

    def restore(self, state: State, healthy: bool = False) -> bool:
        """Loads the newest intact checkpoint into `state`, on all workers.

        Args:
            state: TrainingState; unchanged when there is no checkpoint.
            healthy: ignore checkpoints that were written while updates were being skipped.

        Returns:
            True if there was one.

        Raises:
            ConfigChanged: if its configuration differs; names the differences.
            OSError: if it cannot be read now. It may be intact, so no earlier one is used.
            ValueError: if there are checkpoints but all are damaged, or the newest one has a right
                checksum and is no checkpoint of this run.
        """
        content = self._workers.broadcast(lambda: self._restore_on_chief(state, healthy))
        if content and not self._workers.is_chief:
            state.unpack(*hdf5.parse(content, "checkpoint of the chief"), "checkpoint of the chief")
        return bool(content)

    def _restore_on_chief(self, state: State, healthy: bool) -> bytes:
        """Does `restore` on the chief. Returns the bytes for the other workers; b"" if none."""
        for path in newest_first(self._folder):
            try:
                content = hdf5.read_content(path)
                groups, attributes = hdf5.parse(content, path)
            except hdf5.Damaged as error:  # Other errors say nothing about the content.
                logging.warning("%s Trying the checkpoint before.", error)
                # A damaged file must not count as one of those kept.
                damaged = path.with_suffix(".damaged")
                files.retried(functools.partial(path.rename, damaged), path)
                continue
            self._check(attributes, path)
            if healthy and state.is_skipping(attributes, path):
                continue
            state.unpack(groups, attributes, path)
            logging.info("Resuming from %s", path)
            return content if self._workers.num > 1 else b"nobody needs it"
        if not newest_first(self._folder):
            self._check_that_nothing_is_lost()
        return b""

    def _check_that_nothing_is_lost(self) -> None:
        """Raises ValueError if a run without intact checkpoints has been trained before."""
        remedy = "Start another run with --new, perhaps from the last snapshot with --resume_pkl."
        if any(entry.name.endswith(".damaged") for entry in files.entries(self._folder)):
            raise ValueError(f"{self._folder}: all checkpoints are damaged. {remedy}")
        if files.exists(self._folder.parent / STATS_FILE):
            raise ValueError(
                f"{self._folder}: no checkpoint, but the run has begun. Bring it back. {remedy}"
            )

    def _check(self, attributes: Mapping[str, Any], path: Path) -> None:
        if attributes.get("format") != _FORMAT:
            raise ValueError(f"{path}: not a checkpoint of a training run.")
        if self._allow_config_change:
            return
        texts = {name: attributes.get(name) for name in ("config", "dataset")}
        for name, text in texts.items():
            if not isinstance(text, str) and (name == "config" or text is not None):
                raise ValueError(f"{path}: attribute `{name}` is missing, or no text.")
        before = type(self._config).from_json(texts["config"] or "", f"{path}, `config`")
        source = identity.Source.from_json(texts["dataset"], before, f"{path}, `dataset`")
        # A newer program alone makes no difference: its new fields default to the old behaviour.
        stored = identity.Identity(before, source)
        asked = identity.Identity(self._config, self._source)
        if differences := identity.differences(stored, asked):
            raise ConfigChanged(
                f"{path} is of another configuration: {'; '.join(differences)}. Continue it all "
                "the same with --allow_config_change, start another run with --new, or undo the "
                "change."
            )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
