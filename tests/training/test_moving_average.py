import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from pgtf.training.step import update_moving_average

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


def test_decay_zero_copies_and_decay_one_keeps():
    source = {"w": tf.Variable([3.0, -1.0])}
    average = {"w": tf.Variable([0.5, 0.25])}
    update_moving_average(average, source, 1.0)
    assert average["w"].numpy().tolist() == [0.5, 0.25]
    update_moving_average(average, source, 0.0)
    assert average["w"].numpy().tolist() == [3.0, -1.0]
