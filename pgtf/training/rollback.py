"""Rollback of a run that diverged: back to a healthy checkpoint, and on with other draws."""

from __future__ import annotations

from absl import logging

from pgtf.runs.checkpoints import Checkpoints
from pgtf.training.calls import Diverged
from pgtf.training.config import RunConfig
from pgtf.training.state import TrainingState

MAX_ROLLBACKS = 3  # to one checkpoint
ROLLBACK_SEEDS = 1_000_003  # distance of the seeds before and after; no likely seed of another run


def config_after(num_rollbacks: int, config: RunConfig) -> RunConfig:
    """Changes the seed with every rollback: the same draws would end the same way."""
    seed = config.training.seed + ROLLBACK_SEEDS * num_rollbacks
    return config.replace({"training.seed": seed})


def roll_back(error: Diverged, state: TrainingState, checkpoints: Checkpoints) -> None:
    """Goes back to the newest healthy checkpoint; raises Diverged if there is none left to try."""
    num_rollbacks = state.progress.num_rollbacks + 1
    if not checkpoints.restore(state, healthy=True):
        raise Diverged(f"{error} There is no healthy checkpoint to go back to.") from None
    if num_rollbacks > state.progress.num_rollbacks + MAX_ROLLBACKS:
        raise Diverged(f"{error} {MAX_ROLLBACKS} rollbacks did not help.") from None
    state.progress.num_rollbacks = num_rollbacks
    logging.warning("Diverged: %s Rollback %d, with other draws.", error, num_rollbacks)
