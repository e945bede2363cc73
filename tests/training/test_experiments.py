"""The paper's experiments, shrunk: each trains at 4x4, 8x8 and 16x16, and resumes."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from pgtf.config import EXPERIMENTS, PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import to_records
from pgtf.interop import load_snapshot
from pgtf.training import initialization, loop, plan
from pgtf.training.checkpoints import newest_first
from pgtf.training.state import TrainingState
from pgtf.training.stepper import STATISTICS, Stepper
from tests import tiny
from tests.training.test_loop import Killed, arrays, kill_at, stats

QUICK = ("celebahq-1024-lsgan", "mnist1k-k2-progression")


@pytest.fixture(scope="session")
def dataset16(tmp_path_factory):
    """Noisy 16x16 images, 80 of them."""
    folder = tmp_path_factory.mktemp("datasets") / "noisy"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (80, 3, 16, 16), np.uint8)
    for log2 in (2, 3, 4):
        step = 16 >> log2
        records = to_records(np.ascontiguousarray(images[..., ::step, ::step]))
        (folder / f"noisy-r{log2:02d}.tfrecords").write_bytes(records.tobytes())
    return open_dataset(folder, max_label_size=0)


def shrunk(name, dataset):
    """A preset whose iterations are at 4x4, 8x8 and 16x16, or all at 16x16."""
    config = PRESETS[name].fitted(dataset.resolution_log2, 3, 0, 1)
    kimg = config.schedule.minibatch_base * config.training.D_repeats / 1000
    changes = {
        "dataset.path": dataset.path,
        "dataset.resolution": None,
        "G.fmap_max": 8,
        "D.fmap_max": 8,
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": kimg if config.schedule.lod_training_kimg else 0,
        "schedule.tick_kimg_base": kimg,
        "schedule.tick_kimg_dict": {},
        "training.total_kimg": 3 * kimg,
        "training.network_snapshot_ticks": 3,
    }
    if config.G.latent_size > 8:
        changes["G.latent_size"] = 8
    return config.replace(changes)


def distinct():
    """Presets of which none is the same as another once shrunk, but for mirrored images."""
    seen, names = set(), []
    for name, experiment in EXPERIMENTS.items():
        config = experiment.config
        schedule = (config.schedule.minibatch_base, config.schedule.lod_training_kimg > 0)
        parts = [
            dataclasses.replace(part, fmap_base=0, resolution=4) for part in (config.G, config.D)
        ]
        training = dataclasses.replace(config.training, total_kimg=1)
        key = (*parts, config.loss, training, schedule)
        if key not in seen:
            names.append(name)
        seen.add(key)
    return names


def test_the_shrunk_experiments_are_these():
    names = distinct()
    assert len(names) == 18
    assert set(QUICK) < set(names)


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in distinct()],
)
def test_an_experiment_trains_three_iterations_and_resumes_with_the_same_bits(
    dataset16, strategy, tmp_path, name
):
    config = shrunk(name, dataset16)
    loop.check(config)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    loop.run(config, dataset16, strategy, whole)
    grows = config.schedule.initial_resolution == 4
    assert [x["resolution"] for x in stats(whole)] == ([4, 8, 16] if grows else [16] * 3)
    assert [x["skipped_updates"] for x in stats(whole)] == [0] * 3
    with pytest.raises(Killed):
        loop.run(config, dataset16, strategy, killed, more_actions=[kill_at(2)], checkpoint_sec=0)
    loop.run(config, dataset16, strategy, killed)
    assert stats(killed) == stats(whole)
    left, right = (arrays(newest_first(f / "checkpoint")[0]) for f in (whole, killed))
    assert left.keys() == right.keys()
    for key, array in left.items():
        np.testing.assert_array_equal(array, right[key], err_msg=key)
    moved = [
        key for key in left if key.startswith("G/") and np.any(left[key] != left[f"Gs/{key[2:]}"])
    ]
    assert moved
    snapshot = load_snapshot(sorted(whole.glob("network-snapshot-*.h5"))[-1])
    assert (snapshot[0].config, snapshot[1].config) == (config.G, config.D)
    for key, array in tiny.arrays_of(snapshot[1]).items():
        np.testing.assert_array_equal(array, left[f"D/{key}"])


def test_noise_is_a_curve_and_survives_a_resumption(config, dataset, strategy, tmp_path):
    changes = {
        "D.use_gdrop": True,
        "loss.kind": "lsgan",
        "loss.noise_limit": -1.0,  # the average of scores clipped to [0, 1] exceeds it always
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": 0,
        "schedule.lod_initial_resolution": None,
        "schedule.tick_kimg_base": 0.016,  # two iterations
        "training.total_kimg": 0.064,
    }
    config = config.replace(changes)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    loop.run(config, dataset, strategy, whole)
    with pytest.raises(Killed):
        loop.run(config, dataset, strategy, killed, more_actions=[kill_at(2)], checkpoint_sec=0)
    loop.run(config, dataset, strategy, killed)
    curve = [x["noise_strength"] for x in stats(whole)]
    assert len(curve) == 4
    assert min(curve) >= 0.2 * 0.999
    assert len(set(curve)) == 4
    assert stats(killed) == stats(whole)
    assert {x["mixed_norms"] for x in stats(whole)} == {0}
    (events,) = whole.glob("events.out.tfevents*")
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert {"noise_strength", "fake_scores"} <= tags


@pytest.fixture
def run_rows(dataset, strategy):
    """A function: Config -> (state, statistics by name) after the iterations of one call."""

    def run(config, length=2):
        state = TrainingState(config, strategy)
        call = plan.next_call(config.schedule, config.training, 0, 0)
        numbers = [x[:length] for x in (call.nimgs, call.alphas, call.G_lrates, call.D_lrates)]
        repeats = config.training.D_repeats
        end = numbers[0][-1] + call.now.minibatch * repeats
        rows = Stepper(state, config, dataset, strategy).run(plan.Call(call.now, *numbers, end))
        return state, {name: rows[:, i] for i, name in enumerate(STATISTICS)}

    return run


AT_4 = {"schedule.lod_training_kimg": 1, "training.minibatch_repeats": 4}


@pytest.mark.parametrize("signal", ["fake_scores", "D_loss"])
def test_noise_strength_follows_the_signal_of_the_iterations_before(config, run_rows, signal):
    changes = {"D.use_gdrop": True, "loss.noise_signal": signal, "loss.noise_limit": -1.0}
    state, rows = run_rows(config.replace(AT_4 | changes), length=4)
    ema = 0.0
    for strength, value in zip(rows["noise_strength"], rows[signal], strict=True):
        assert strength == pytest.approx(0.2 * (ema + 1) ** 2, rel=1e-5)
        ema = 0.9 * ema + 0.1 * np.clip(value, 0, 1)
    assert state.progress.noise_ema == pytest.approx(ema, rel=1e-5)


def test_noise_changes_the_losses_and_no_noise_changes_nothing(config, run_rows):
    config = config.replace(AT_4)
    _, plain = run_rows(config)
    _, silent = run_rows(config.replace({"D.use_gdrop": True}))  # starts with strength 0
    _, noisy = run_rows(config.replace({"D.use_gdrop": True, "loss.noise_limit": -1.0}))
    assert silent["G_loss"][0] == pytest.approx(plain["G_loss"][0], rel=1e-5)
    assert abs(noisy["G_loss"][0] - plain["G_loss"][0]) > 1e-4
    assert abs(noisy["real_scores"][0] - plain["real_scores"][0]) > 1e-4


def test_simultaneous_updates_take_both_gradients_at_the_old_weights(config, run_rows):
    """G's first loss is then that of the very fakes that D saw: minus their mean score."""
    config = config.replace(AT_4)
    _, rows = run_rows(config.replace({"training.update_order": "simultaneous"}), length=1)
    assert rows["G_loss"][0] == pytest.approx(-rows["fake_scores"][0], rel=1e-5)
    _, rows = run_rows(config, length=1)
    assert rows["G_loss"][0] != pytest.approx(-rows["fake_scores"][0], rel=1e-3)


def test_simultaneous_updates_need_one_update_of_d(config):
    changes = {"training.update_order": "simultaneous", "training.D_repeats": 2}
    with pytest.raises(ValueError, match="`D_repeats` must be 1 .*D_repeats=2"):
        loop.check(config.replace(changes))


@pytest.mark.parametrize(("per", "times"), [("D_update", 3), ("G_update", 1)])
def test_the_average_takes_in_g_once_per_update_and_before_g_moves(config, run_rows, per, times):
    changes = {"training.D_repeats": 3, "training.G_smoothing_per": per}
    changes["training.G_smoothing"] = 0.5
    config = config.replace(AT_4 | changes)
    one, _ = run_rows(config, length=1)
    two, _ = run_rows(config, length=2)
    initial, after = (tiny.arrays_of(network) for network in (one.Gs, one.G))
    name = "4x4/Conv/weight"
    assert np.any(after[name] != initial[name])  # Gs is still the initial G: one iteration late
    expected = after[name] + (initial[name] - after[name]) * 0.5**times
    np.testing.assert_allclose(tiny.arrays_of(two.Gs)[name], expected, rtol=0, atol=1e-6)


def test_constants_of_the_drawn_weights_are_not_trained_and_shared_with_gs(config, run_rows):
    changes = {"G.wscale_constant": "rms", "D.wscale_constant": "rms"}
    state, _ = run_rows(config.replace(AT_4 | changes))
    G, Gs = (tiny.arrays_of(network) for network in (state.G, state.Gs))
    scales = [name for name in G if name.endswith("/scale")]
    assert len(scales) == len(state.G.layers)
    assert all(G[name] == Gs[name] for name in scales)
    assert not any("scale" in name for name in state.G_opt.variables_by_name)


def test_minibatch_discrimination_is_fitted_to_reals_before_training(config, dataset, strategy):
    config = config.replace({"D.mbdisc_kernels": 3, "D.mbstd_group_size": 0})
    states = [TrainingState(config, strategy) for _ in range(2)]
    initialization.initialize_discrimination(states[0].D, config, dataset)
    fitted, drawn = (tiny.arrays_of(state.D) for state in states)
    changed = {name for name in fitted if np.any(fitted[name] != drawn[name])}
    assert changed == {f"4x4/MinibatchDiscrimination/{kind}" for kind in ("bias", "log_scale")}


def test_networks_that_do_not_grow_must_begin_at_full_resolution(config):
    changes = {"G.structure": "mnist1k", "G.progressive": False}
    with pytest.raises(ValueError, match="`lod_initial_resolution` must be none.*=4"):
        loop.check(config.replace(changes))


def test_checkpoints_of_before_an_option_was_added_can_be_read(config, strategy):
    state = TrainingState(config, strategy)
    groups, attributes = state.pack()
    networks, progress = (json.loads(attributes[k]) for k in ("networks", "progress"))
    for description in networks.values():
        del description["options"]["structure"]
    del progress["noise_ema"]
    attributes |= {"networks": json.dumps(networks), "progress": json.dumps(progress)}
    state.unpack(groups, attributes, "checkpoint")
    assert state.progress.noise_ema == 0
