"""Gradients that are not finite: skipped, counted, and what follows when they do not end."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pgtf.distribution.workers import Workers
from pgtf.runs.checkpoints import Checkpoints
from pgtf.runs.identity import Source
from pgtf.training import loop, pace, randomness, rollback
from pgtf.training.calls import Diverged
from pgtf.training.randomness import Stream
from pgtf.training.state import TrainingState
from tests.training import jobs

SEED = 1000
FOREVER = 10**9  # images
BEGIN = 112  # images shown when the first draw is not finite: iteration 2 of the second tick


@pytest.fixture(scope="module")
def config(config):
    """8x8 throughout, so that there is one trace; 12 iterations a tick, 3 ticks."""
    return config.replace(
        {
            "schedule.lod_initial_resolution": 8,
            "schedule.lod_training_kimg": 0,
            "schedule.lod_transition_kimg": 0,
            "training.max_skipped": 5,
        }
    )


@pytest.fixture
def inject(monkeypatch):
    """Makes latents NaN: inject(seed, end_nimg, again=...), seed None = of every seed.

    They are from BEGIN to `end_nimg` images, and from `again` on.
    """

    def patch(seed, end_nimg, again=FOREVER):
        draw = randomness.normal

        def poisoned(shape, drawn_seed, nimg, purpose):
            values = draw(shape, drawn_seed, nimg, purpose)
            if purpose != Stream.D_LATENTS or seed not in (None, drawn_seed):
                return values
            first = (nimg >= BEGIN) & (nimg < end_nimg)
            return tf.where(first | (nimg >= again), np.nan, values)

        monkeypatch.setattr(randomness, "normal", poisoned)

    return patch


def stats(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def last_state(folder, config, dataset, strategy):
    state = TrainingState(config, strategy)
    source = Source.of(dataset)
    checkpoints = Checkpoints(folder / "checkpoint", config, source, Workers(strategy))
    assert checkpoints.restore(state)
    return state


def test_four_updates_in_a_row_are_skipped_and_counted_and_the_fifth_stops_the_run(
    config, dataset, strategy, tmp_path, inject, monkeypatch
):
    monkeypatch.setattr(pace, "CALL_SEC", 0.0)  # Calls of two iterations, whatever the load
    again = 192 + 8  # images shown: iteration 1 of the third tick, so that a call ends with 5
    inject(SEED, BEGIN + 4 * 8, again)
    options = loop.RunOptions(checkpoint_sec=0)
    with pytest.raises(Diverged, match=r"in 5 iterations in a row, up to 0.24 kimg at 8x8") as e:
        loop.run(config, dataset, strategy, tmp_path, options)
    assert "D_loss nan" in str(e.value)
    assert "--on_divergence=rollback" in str(e.value)
    # The four did no harm: training went on, and its checkpoint is that of a healthy network.
    assert [line["skipped_updates"] for line in stats(tmp_path)] == [0, 4]
    assert all(np.isfinite(value) for line in stats(tmp_path) for value in line.values())
    state = last_state(tmp_path, config, dataset, strategy)
    assert state.progress.cur_nimg == 192
    assert state.progress.skipped_in_row == 0
    for arrays in state.pack()[0].values():
        assert all(np.all(np.isfinite(array)) for array in arrays.values())


@pytest.mark.slow
# Checkpoints after every call, or only the one of the start, so that the first tick is repeated.
@pytest.mark.parametrize("checkpoint_sec", [0, 600])
def test_a_rollback_continues_from_the_last_checkpoint_with_other_draws(
    config, dataset, strategy, tmp_path, inject, caplog, checkpoint_sec
):
    inject(SEED, FOREVER)
    options = loop.RunOptions(checkpoint_sec=checkpoint_sec, on_divergence="rollback")
    assert loop.run(config, dataset, strategy, tmp_path, options) is None
    assert "Rollback 1, with other draws" in caplog.text
    assert [line["kimg"] for line in stats(tmp_path)] == [0.096, 0.192, 0.288]
    assert stats(tmp_path)[-1]["skipped_updates"] == 0
    curves = jobs.curves(tmp_path)
    assert [step for step, _ in curves["fakes"]] == [0, 96, 192, 288]
    assert [step for step, _ in curves["G_loss"]] == [96, 192, 288]
    losses = np.float32([line["G_loss"] for line in stats(tmp_path)])
    np.testing.assert_array_equal([value for _, value in curves["G_loss"]], losses)
    assert last_state(tmp_path, config, dataset, strategy).progress.num_rollbacks == 1


@pytest.mark.slow
def test_a_rollback_that_does_not_help_is_tried_three_times(
    config, dataset, strategy, tmp_path, inject, caplog, monkeypatch
):
    monkeypatch.setattr(pace, "CALL_SEC", 0.0)  # Checkpoints have the same places each time.
    inject(None, FOREVER)
    options = loop.RunOptions(checkpoint_sec=0, on_divergence="rollback")
    with pytest.raises(Diverged, match="Lower the learning rate. 3 rollbacks did not help"):
        loop.run(config, dataset, strategy, tmp_path, options)
    assert caplog.text.count("with other draws.") == rollback.MAX_ROLLBACKS == 3
    assert last_state(tmp_path, config, dataset, strategy).progress.cur_nimg == BEGIN
