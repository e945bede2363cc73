import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from pgtf.training import moving_average, updates
from pgtf.training.moving_average import update_moving_average
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny

REFERENCE = json.loads((pathlib.Path(__file__).parents[1] / "data" / "addons.json").read_text())


@pytest.mark.parametrize("case", REFERENCE["moving_average"], ids=lambda case: case["decay"])
def test_moving_average_follows_tensorflow_addons_over_20_updates(case):
    source = {"w": tf.Variable(case["initial"])}
    average = {"w": tf.Variable(case["initial"])}
    assert len(case["averages"]) == 20
    for weights, expected in zip(case["weights"], case["averages"], strict=True):
        source["w"].assign(weights)
        update_moving_average(average, source, case["decay"])
        np.testing.assert_allclose(average["w"].numpy(), expected, rtol=0, atol=5e-6)


def test_decay_zero_copies_but_for_a_rounding_and_decay_one_keeps(rng):
    source, average = ({"w": tf.Variable(rng.normal(size=100), dtype="float32")} for _ in range(2))
    before = average["w"].numpy()
    update_moving_average(average, source, 1.0)
    np.testing.assert_array_equal(average["w"], before)
    update_moving_average(average, source, 0.0)
    np.testing.assert_allclose(average["w"], source["w"], rtol=0, atol=2**-22)  # values up to 3


@pytest.mark.parametrize("traced", [False, True])
def test_an_average_stays_where_it_is_in_memory(traced):
    """A tensor that is assigned brings its own memory, which may be twice as large as asked for."""
    source, average = ({"w": tf.Variable(tf.ones([1000]) * k)} for k in (1, 2))

    def address():
        return np.asarray(average["w"].read_value()).__array_interface__["data"][0]

    before = address()
    update = tf.function(update_moving_average) if traced else update_moving_average
    update(average, source, 0.5)
    assert average["w"].numpy()[0] == 1.5
    assert address() == before


def averaged_at_4x4(config, dataset, strategy, everything, difference=0.0):
    """Gs after updates at 4x4, finer levels of Gs and G being as far apart: {name: array}."""
    state = TrainingState(config, strategy)
    state.Gs.variables_by_name["8x8/Conv1/weight"].assign_add(
        tf.fill(state.G.variables_by_name["8x8/Conv1/weight"].shape, difference)
    )
    names = moving_average.moving_variables(state.G, state.Gs, resolution_log2=2)
    stage = updates.Stage(4, config.schedule.minibatch_base, fading=False)
    iterations = Stepper(state, config, dataset, strategy)._updates(stage, jit=False)
    if everything:
        names = iterations._averaged = list(state.G.variables_by_name)
    rng = np.random.default_rng(0)
    for _ in range(3):
        for variable in state.G.variables_at(2).values():  # as if G had been trained
            variable.assign_add(tf.constant(rng.normal(size=variable.shape), tf.float32))
        iterations._move_average()
    return names, tiny.arrays_of(state.Gs)


@pytest.mark.parametrize("difference", [0.0, 0.5])
def test_leaving_out_what_does_not_move_changes_no_bit(config, dataset, strategy, difference):
    """The levels to come, unless a pickle brought another average for them."""
    args = (config, dataset, strategy)
    (few, ours), (all_names, expected) = (
        averaged_at_4x4(*args, everything, difference) for everything in (False, True)
    )
    finer = {name for name in all_names if name.startswith("8x8") or name.startswith("ToRGB_lod0")}
    left_out = finer - ({"8x8/Conv1/weight"} if difference else set())
    assert set(few) == set(all_names) - left_out
    assert len(left_out) >= 5
    for name, array in expected.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
