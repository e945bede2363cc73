"""Whole training runs of the original release, repeated iteration by iteration."""

import json
import math

import numpy as np
import pytest

from tests.reference.cases import Difference, arrays, check, find, largest_relative
from tests.reference.replay import replay

CASES = [path for path in find("trajectory/traj-*.json") if not path.stem.endswith("-noise")]
CLOSE = {"1e-5": 1e-5, "1e-4": 1e-4}  # how near a weight must be to match, absolute
# Where a gradient is near zero, Adam's first step is a sign function of it, so rounding decides
# single values; the stored noise says how many did when weights moved by 1e-7.
EXTRA_SHARE = 0.002
NOISE_FACTOR = 4
TOLERANCE = 1e-4  # of losses, in units of max(1, |value|)


def described(path):
    return json.loads(path.read_text())


def noise_of(path):
    return described(path.with_name(f"{path.stem}-noise.json"))


def loss_differences(path):
    case, noise, run = arrays(path.with_suffix(".npz")), noise_of(path), replay(path)
    for index, losses in run.losses.items():
        for kind, ours in losses.items():
            key = f"step{index:03d}/{kind}_mean"
            theirs = float(case[key])
            allowed = TOLERANCE + NOISE_FACTOR * noise[key] / max(1, abs(theirs))
            yield Difference(
                "losses during training",
                f"{path.stem}, iteration {index}, {kind}",
                largest_relative(ours, theirs),
                allowed,
            )


def weight_differences(path):
    """Share of weights beyond each distance, against what the noise runs of the original show."""
    noise, run = noise_of(path), replay(path)
    for index, networks in run.weights.items():
        for kind, ours in networks.items():
            distances = distances_of(path, index, kind, ours)
            expected = noise.get(f"weights{index:03d}/{kind}", {})
            for label, close in CLOSE.items():
                beyond = expected.get(f"n_gt_{label.replace('-', '_')}", 0) / len(distances)
                yield Difference(
                    f"share of {kind} weights off by more than {label}",
                    f"{path.stem}, iteration {index}",
                    float(np.mean(distances > close)),
                    NOISE_FACTOR * beyond + EXTRA_SHARE,
                )


def distances_of(path, index, kind, ours):
    """Absolute distances of all stored values of a network after an iteration: [n]."""
    case, stride = arrays(path.with_suffix(".npz")), described(path).get("stride", 1)
    prefix = f"weights{index:03d}/{kind}/"
    stored = {k.removeprefix(prefix): case[k] for k in case if k.startswith(prefix)}
    stored.pop("lod", None)
    assert stored.keys() == ours.keys()
    distances = []
    for name, theirs in stored.items():
        values = ours[name].ravel()
        if values.size != theirs.size:
            values = values[::stride]
        distances.append(np.abs(values - theirs.ravel()))
    return np.concatenate(distances)


def differences(path):
    yield from loss_differences(path)
    yield from weight_differences(path)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_losses_follow_the_original_through_training(path):
    check(loss_differences(path))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_weights_follow_the_original_through_training(path):
    check(weight_differences(path))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_level_of_detail_minibatch_and_learning_rate_are_the_originals(path):
    run, full = replay(path), described(path)["config"]["ds"]["resolution"]
    assert len(run.steps) == len(described(path)["steps"])
    for step in described(path)["steps"]:
        ours, lod = run.steps[step["step"]], step["lod"]
        assert ours["resolution"] == full >> math.floor(lod)
        assert ours["alpha"] == pytest.approx(1 - lod % 1, abs=1e-12)
        assert (ours["minibatch"], ours["lrate"]) == (step["minibatch"], step["lrate"])


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_both_optimizers_are_reset_when_the_original_resets_them(path):
    theirs = sorted(done for done, _ in described(path)["resets"] if done)
    assert sorted(done for done in replay(path).resets if done) == theirs


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_the_moving_average_has_not_moved_after_the_first_iteration(path):
    """It runs with the update of D, before that of G, so it has only seen the initial G."""
    run = replay(path)
    if 1 in run.weights:
        case = arrays(path.with_suffix(".npz"))
        for name, ours in run.weights[1]["Gs"].items():
            key = f"weights000/G/{name}"
            if key in case:
                assert np.array_equal(ours, case[key])
