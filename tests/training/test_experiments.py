"""The paper's experiments, shrunk: each trains at 4x4, 8x8 and 16x16, and resumes."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from pgtf import networks
from pgtf.config import EXPERIMENTS, PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import to_records
from pgtf.interop import load_snapshot
from pgtf.runs.checkpoints import newest_first
from pgtf.training import initialization, loop, plan
from pgtf.training.loop import RunOptions
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny
from tests.training import jobs
from tests.training.test_loop import Killed, stats


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


def shrunk(name, path):
    """A preset whose iterations are at 4x4, 8x8 and 16x16, or all at 16x16."""
    config = PRESETS[name].for_dataset(4, 3, 0, 1)
    kimg = config.schedule.minibatch_base * config.training.D_repeats / 1000
    changes = {
        "dataset.path": path,
        "dataset.resolution": None,
        "G.fmap_base": 64,
        "D.fmap_base": 64,
        "G.fmap_max": 8,
        "D.fmap_max": 8,
        "G.latent_size": min(config.G.latent_size, 8),
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": kimg if config.schedule.lod_training_kimg else 0,
        "schedule.minibatch_dict": {},  # layers for finer images only
        "schedule.tick_kimg_base": kimg,
        "schedule.tick_kimg_dict": {},
        "training.total_kimg": 3 * kimg,
        "training.network_snapshot_ticks": 3,
    }
    return config.replace(changes)


def distinct():
    """Presets of which none is the same as another once shrunk, but for mirrored images."""
    seen = {}
    for name in EXPERIMENTS:
        config = shrunk(name, "").replace({"dataset.mirror_augment": False})
        seen.setdefault(config.to_json(), name)
    return [*seen.values()]


def test_the_shrunk_experiments_are_these():
    assert len(distinct()) == 19


@pytest.mark.slow  # test_loop.py resumes a growing run, and the noise of LSGAN is resumed below
@pytest.mark.parametrize("name", distinct())
def test_an_experiment_trains_three_iterations_and_resumes_with_the_same_bits(
    dataset16, strategy, tmp_path, name
):
    config = shrunk(name, dataset16.path)
    config.check()
    seen = killed_and_resumed(config, dataset16, strategy, tmp_path, tick=2)
    assert stats(tmp_path) == seen["stats"]
    grows = config.schedule.initial_resolution == 4
    assert [x["resolution"] for x in stats(tmp_path)] == ([4, 8, 16] if grows else [16] * 3)
    assert [x["skipped_updates"] for x in stats(tmp_path)] == [0] * 3
    found = jobs.arrays(newest_first(tmp_path / "checkpoint")[0])
    for key, array in found.items():
        np.testing.assert_array_equal(array, seen["arrays"][key], err_msg=key)
    assert any(np.any(found[k] != found[f"Gs/{k[2:]}"]) for k in found if k.startswith("G/"))
    G, D, _ = load_snapshot(sorted(tmp_path.glob("network-snapshot-*.h5"))[-1])
    assert (G.config, D.config) == (config.G, config.D)
    for key, array in tiny.arrays_of(D).items():
        np.testing.assert_array_equal(array, found[f"D/{key}"])


def killed_and_resumed(config, dataset, strategy, folder, tick):
    """Runs to the end, killed once at a tick before its checkpoint: -> what there was then."""
    seen = {}

    def kill(now, state, final):
        if now.tick == tick:
            groups, _ = state.pack()
            seen["arrays"] = {
                f"{group}/{k}": v for group in groups for k, v in groups[group].items()
            }
            seen["noise_ema"], seen["stats"] = state.progress.noise_ema, stats(folder)
            raise Killed

    with pytest.raises(Killed):
        loop.run(config, dataset, strategy, folder, RunOptions(callbacks=[kill], checkpoint_sec=0))
    loop.run(config, dataset, strategy, folder)
    return seen


def test_noise_is_a_curve_and_survives_a_resumption(config, dataset, strategy, tmp_path):
    changes = {
        "D.use_gdrop": True,
        "loss.kind": "lsgan",
        "loss.noise_limit": -1.0,  # the average of scores clipped to [0, 1] exceeds it always
        "schedule.lod_training_kimg": 1,  # 4x4 throughout
        "schedule.tick_kimg_base": 0.016,  # two iterations
        "training.total_kimg": 0.064,
    }
    config = config.replace(changes)
    seen = killed_and_resumed(config, dataset, strategy, tmp_path, tick=2)
    curve = [x["noise_strength"] for x in stats(tmp_path)]
    assert len(curve) == 4
    assert min(curve) >= 0.2 * 0.999
    assert len(set(curve)) == 4
    assert stats(tmp_path)[:3] == seen["stats"]
    assert seen["noise_ema"] != 0
    assert all("mixed_norms" not in line for line in stats(tmp_path))  # nothing is mixed
    tags = {
        value.tag
        for events in tmp_path.glob("events.out.tfevents*")
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert {"noise_strength", "fake_scores"} <= tags


@pytest.fixture(scope="module")
def trained(dataset, strategy):
    """A function: Config, number of iterations -> yields (state, statistics by name) after each.

    Every run begins anew. Those of one configuration share its traced function, so one of them
    has to end before the next one begins.
    """
    made = {}

    def begin(config):
        key = config.to_json()
        if key not in made:
            state = TrainingState(config, strategy)
            made[key] = state, Stepper(state, config, dataset, strategy), state.pack()
        state, stepper, initial = made[key]
        state.unpack(*initial, "memory")
        return state, stepper

    def run(config, num, noise_ema=0.0):
        state, stepper = begin(config)
        state.progress.noise_ema = noise_ema
        call = plan.next_call(config.schedule, config.training, 0, 0)
        for i in range(num):
            numbers = ([x[i]] for x in (call.nimgs, call.alphas, call.G_lrates, call.D_lrates))
            end = call.nimgs[i] + call.now.minibatch * config.training.D_repeats
            (row,) = stepper.run(plan.Call(call.now, *numbers, end))
            yield state, dict(zip(stepper.statistics, row, strict=True))

    return run


AT_4 = {"schedule.lod_training_kimg": 1, "training.minibatch_repeats": 4}
NOISY = AT_4 | {"D.use_gdrop": True, "loss.noise_limit": -1.0}
# Two updates of D for each of G, noise that follows D's loss, and drawn weights.
REPEATED = NOISY | {
    "loss.noise_signal": "D_loss",
    "training.D_repeats": 2,
    "training.G_smoothing": 0.5,
    "G.wscale_constant": "rms",
}


@pytest.mark.parametrize(("changes", "signal"), [(NOISY, "fake_scores"), (REPEATED, "D_loss")])
def test_noise_strength_follows_the_signal_of_the_iterations_before(
    config, trained, changes, signal
):
    config = config.replace(changes)
    assert config.loss.noise_signal == signal
    ema = 0.0
    for state, row in trained(config, 4):
        assert row["noise_strength"] == pytest.approx(0.2 * (ema + 1) ** 2, rel=1e-5)
        ema = 0.9 * ema + 0.1 * np.clip(row[signal], 0, 1)
        assert state.progress.noise_ema == pytest.approx(ema, rel=1e-5)
    assert ema != 0


def test_scores_that_are_not_finite_leave_the_noise_alone(config, trained):
    runs = trained(config.replace(NOISY), 4)
    state, _ = next(runs)
    state.progress.noise_ema = 0.25
    for bias in (np.inf, -np.inf, np.nan):
        state.D.variables_by_name["4x4/Dense1/bias"].assign([bias])
        _, row = next(runs)
        np.testing.assert_array_equal(row["fake_scores"], bias)
        assert state.progress.noise_ema == 0.25


def test_noise_changes_the_losses_of_both_networks(config, trained):
    config = config.replace(NOISY)
    ((_, silent),) = trained(config, 1, noise_ema=-1.0)  # the limit
    ((_, noisy),) = trained(config, 1)
    assert (silent["noise_strength"], noisy["noise_strength"]) == (0, np.float32(0.2))
    for name in ("G_loss", "real_scores", "fake_scores"):
        assert abs(noisy[name] - silent[name]) > 1e-4


def test_simultaneous_updates_take_both_gradients_at_the_old_weights(config, trained):
    """G's first loss is then that of the very fakes that D saw: minus their mean score."""
    config = config.replace(AT_4 | {"training.update_order": "simultaneous"})
    ((_, row),) = trained(config, 1)
    assert row["G_loss"] == pytest.approx(-row["fake_scores"], rel=1e-5)


def test_simultaneous_updates_need_one_update_of_d(config):
    changes = {"training.update_order": "simultaneous", "training.D_repeats": 2}
    with pytest.raises(ValueError, match="`D_repeats` must be 1 .*D_repeats=2"):
        config.replace(changes).check()


@pytest.mark.parametrize(("per", "times"), [("D_update", 2), ("G_update", 1)])
def test_the_average_takes_in_g_once_per_update_and_before_g_moves(config, trained, per, times):
    changes = REPEATED | {"training.G_smoothing_per": per}
    one, two = (
        {kind: tiny.arrays_of(network) for kind, network in state.networks().items()}
        for state, _ in trained(config.replace(changes), 2)
    )
    name = "4x4/Conv/weight"
    initial, after = one["Gs"][name], one["G"][name]
    assert np.any(after != initial)  # Gs is still the initial G: one iteration late
    expected = after + (initial - after) * 0.5**times
    np.testing.assert_allclose(two["Gs"][name], expected, rtol=0, atol=1e-6)
    scales = [name for name in two["G"] if name.endswith("/scale")]
    assert len(scales) == 6
    assert all(two["G"][name] == two["Gs"][name] == one["G"][name] for name in scales)


def test_constants_of_the_drawn_weights_have_no_optimizer_state(config, strategy):
    state = TrainingState(config.replace({"G.wscale_constant": "rms"}), strategy)
    assert sum("scale" in name for name in state.G.variables_by_name) == 6
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
        config.replace(changes).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"D.mbstat_avg": "group", "D.mbstat_num_splits": 3},
            "`mbstat_num_splits` must divide the feature maps at 4x4.",
        ),
        ({"G.fmap_base": 3}, "`G.fmap_base` must leave feature maps at 8x8. Received: fmap_base=3"),
        ({"D.fmap_base": 3}, "`D.fmap_base` must leave feature maps at 8x8. Received: fmap_base=3"),
        ({"D.structure": "mnist1k", "D.fmap_divisor": 9}, "`D.fmap_base` must leave feature maps"),
    ],
)
def test_networks_that_cannot_be_made_are_refused_before_there_is_a_run(config, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config.replace(changes).check()


def test_the_small_discriminator_needs_feature_maps_only_where_it_has_a_convolution(config):
    options = {"D.structure": "mnist1k", "D.fmap_base": 32, "D.fmap_max": 256}
    config = config.replace(options | {"D.fmap_divisor": 8})  # 2 at 4x4; 1 at 8x8, which has none
    config.check()
    D = networks.build(config.D)
    assert D.layers["8x8/Conv"].weight.shape == (3, 3, 3, 2)
    with pytest.raises(ValueError, match="`D.fmap_base` must leave feature maps at 8x8"):
        config.replace({"D.fmap_divisor": 17}).check()


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
