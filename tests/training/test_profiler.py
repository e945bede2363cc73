import types

import numpy as np
import tensorflow as tf

from pgtf.training.profiler import profiled


class Steps:
    """A stepper that multiplies matrices, two iterations per call."""

    statistics = ()

    def run(self, call):
        return tf.matmul(tf.ones([64, 64]), tf.ones([64, 64])).numpy()[:2]


def traces(folder):
    return list(folder.glob("profile/plugins/profile/*/*.xplane.pb"))


def test_iterations_after_the_first_call_are_recorded_until_there_are_enough(tmp_path):
    with profiled(Steps(), tmp_path, 3) as stepper:
        assert np.all(stepper.run(None) == 64)
        stepper.run(None)
        assert not traces(tmp_path)
        stepper.run(None)
        (trace,) = traces(tmp_path)
        assert b"MatMul" in trace.read_bytes()
        stepper.run(None)
    assert len(traces(tmp_path)) == 1


def test_a_run_that_ends_early_writes_what_it_has(tmp_path):
    with profiled(Steps(), tmp_path, 100) as stepper:
        stepper.run(None)
        stepper.run(None)
    assert len(traces(tmp_path)) == 1


def test_without_steps_the_stepper_is_the_same(tmp_path):
    steps = types.SimpleNamespace()
    with profiled(steps, tmp_path, 0) as stepper:
        assert stepper is steps
    assert not list(tmp_path.iterdir())
