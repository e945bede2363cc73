"""N replicas = 1 replica at the same global minibatch, when D's groups hold the same samples."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


# Replicas of (4, 16) and (8, 32) have one group of D, those of the others two.
SLOW_CASES = [(4, 16), (8, 32), (2, 16, "noise"), (2, 16, "gpu"), (2, 16, "aug"), (2, 16, "wide")]
CASES = [(2, 16, "4x4"), *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW_CASES)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: " ".join(map(str, case)))
def runs(request, tmp_path_factory):
    """{run: {array name: array}} of replicas.py."""
    path = tmp_path_factory.mktemp("replicas") / "runs.npz"
    command = [sys.executable, "-m", "tests.conformance.replicas", path, *request.param]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, check=True)
    runs = {}
    with np.load(path) as file:
        for key in file:
            run, _, name = key.partition("/")
            runs.setdefault(run, {})[name] = file[key]
    return runs


def largest_difference(runs, prefix):
    """The largest over all arrays of |difference| / max |value|, and the number of arrays."""
    differences = [
        np.abs(runs["one"][name] - array).max() / max(np.abs(array).max(), 1e-3)
        for name, array in runs["several"].items()
        if name.startswith(prefix)
    ]
    return max(differences), len(differences)


@pytest.mark.parametrize(("kind", "num"), [("G", 12), ("D", 14)])
def test_gradients_of_several_replicas_are_those_of_one(request, runs, kind, num):
    # beta1 is 0, so Adam's first moment is the gradient.
    largest, count = largest_difference(runs, f"1/{kind}_opt/m/")
    assert count == num
    is_wide = "wide" in request.node.callspec.params["runs"]
    assert 0 < largest < (2e-5 if is_wide else 1e-5)  # seen: 1.05e-5, 5e-6
    assert np.any(runs["several"][f"1/{kind}_opt/m/4x4/Conv/weight"])


@pytest.mark.parametrize(("kind", "num"), [("G", 26), ("D", 30)])
def test_adam_is_the_same_after_four_iterations(runs, kind, num):
    largest, count = largest_difference(runs, f"4/{kind}_opt/")
    assert count == num
    assert largest < 1e-5


@pytest.mark.parametrize("kind", ["G", "D", "Gs"])
def test_weights_and_their_moving_average_are_the_same_after_four_iterations(runs, kind):
    largest, _ = largest_difference(runs, f"4/{kind}/")
    assert largest < 3e-5  # seen: 1e-5, after four divisions by small second moments
    name = f"{kind}/4x4/Conv/weight"
    assert np.abs(runs["several"][f"4/{name}"] - runs["several"][f"1/{name}"]).max() > 1e-3


def test_statistics_are_means_over_the_global_minibatch(runs):
    for done in (1, 4):
        name = f"{done}/statistics"
        np.testing.assert_allclose(runs["several"][name], runs["one"][name], rtol=1e-4, atol=1e-5)


def test_an_update_has_one_all_reduce_and_its_programs_are_cut_there(request, runs):
    """One collective per update; a collective per weight would wait 40 times at 1024x1024."""
    several, one = runs["several"], runs["one"]
    assert one["reductions"].tolist() == []
    _, _, *variant = request.node.callspec.params["runs"]
    # Weights of D and of G. On each of two replicas a program for the gradients of either network,
    # and one for the step along them. In wide layers operations for CPUs are programs of their own.
    expected = {"4x4": ([8, 6], 0), "gpu": ([14, 12], 2 * 2 * 2)}
    for name in variant:
        if name in expected:
            found = several["reductions"].tolist(), several["programs"].item()
            assert found == expected[name]
