"""--jit: what XLA compiles, and that it computes the same."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import ops
from pgtf.ops import gpu, portable, training
from pgtf.training import compilation, differentiation, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests.training import jobs
from tests.training.test_precision import arrays_of

LRATE = 1e-3


def test_auto_compiles_on_gpus_and_not_on_cpus(monkeypatch):
    assert [compilation.is_used(option) for option in ("on", "off", "auto")] == [True, False, False]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [f"{kind}:0"])
    assert [compilation.is_used(option) for option in ("on", "off", "auto")] == [True, False, True]


def trained(config, dataset, strategy, jit, iterations, alpha):
    """All arrays after iterations in calls of 5, and the statistics of the last one."""
    config = config.replace({"training.jit": jit})
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, dataset, strategy)
    now, minibatch = config.schedule.at(0), config.schedule.at(0).minibatch
    for start in range(0, iterations, 5):
        nimgs = [(start + i) * minibatch for i in range(5)]
        numbers = [alpha] * 5, [LRATE] * 5, [LRATE] * 5
        rows = stepper.run(plan.Call(now, nimgs, *numbers, nimgs[-1] + minibatch))
    return arrays_of(state), rows[-1]


def without_kinks(monkeypatch):
    """Replaces leaky ReLU by a smooth function, in the operations of a GPU.

    Where a value lies within rounding of a kink, its gradient is one of two, and 64x64 images have
    values enough for that to happen in some of ten iterations. Whatever rounds otherwise then ends
    elsewhere: op by op, one unit in the last place of the first weights moves statistics by 1e-3
    after ten iterations with leaky ReLU, and by 2e-6 with this function (November 2026).
    """

    def smooth(x, slope):
        return x * ((1 + slope) / 2 + (1 - slope) / 2 * tf.tanh(4 * x))

    def pixel_norm(x, epsilon, slope=None):
        return portable.pixel_norm(x if slope is None else smooth(x, slope), epsilon)

    monkeypatch.setattr(gpu, "leaky_relu", smooth)
    monkeypatch.setattr(gpu, "pixel_norm", pixel_norm)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("resolution", "alpha", "on_gpu"), [(8, 0.5, False), (8, 1.0, True), (64, 0.5, True)]
)
def test_ten_whole_iterations_compiled_are_those_op_by_op(
    config, strategy, tmp_path, monkeypatch, resolution, alpha, on_gpu
):
    """Both updates, Adam and the moving average; with the operations of a GPU, too."""
    from benchmarks.scaling import write_dataset
    from pgtf.dataset import open_dataset

    monkeypatch.setattr(ops, "has_gpu", lambda: on_gpu)
    write_dataset(tmp_path, resolution, 16)
    log2 = resolution.bit_length() - 1
    changes = {"schedule.resolution_log2": log2, "schedule.lod_initial_resolution": resolution}
    # At 1e-8 a first step of Adam is the sign of a gradient, and round-off may decide signs.
    changes |= {"training.adam_epsilon": 1e-3, "schedule.minibatch_dict": {}}
    changes |= {"schedule.minibatch_base": 4}
    if resolution > 8:
        without_kinks(monkeypatch)
        # Pixel norm of one map is the sign; with few, pixels near zero get gradients of any size.
        changes |= {f"{network}.fmap_base": 2048 for network in "GD"}
        changes |= {f"{network}.fmap_max": 32 for network in "GD"}
    config = config.replace(changes).for_dataset(log2, 3, 0, 1)
    (plain, expected), (compiled, found) = (
        trained(config, open_dataset(tmp_path), strategy, jit, 10, alpha) for jit in ("off", "on")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert plain.keys() == compiled.keys()
    for name, array in plain.items():
        largest = max(np.abs(array).max(), 1e-3)
        np.testing.assert_allclose(
            compiled[name] / largest, array / largest, rtol=0, atol=1e-5, err_msg=name
        )


def test_an_iteration_is_one_program_that_takes_its_random_numbers(config, dataset, strategy):
    """Everything but the draws, which XLA would draw otherwise, lies inside."""
    config = config.replace({"training.jit": "on"})
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, dataset, strategy)
    call = plan.next_call(config.schedule, config.training, 0, 0)
    graph = jobs.traced(stepper, call.split(1)[0]).graph.as_graph_def()
    programs = [f for f in graph.library.function if f.attr["_XlaMustCompile"].b]
    assert len(programs) == 1
    kinds = {node.op for node in programs[0].node_def}
    assert {"Conv2D", "AssignVariableOp", "AssignSubVariableOp"} <= kinds
    assert not any(kind.startswith("StatelessRandom") for kind in kinds)
    assert not kinds & {"If", "StatelessIf"}
    outside = {n.op for f in graph.library.function for n in f.node_def if f is not programs[0]}
    assert "Conv2D" not in outside
    assert any(kind.startswith("StatelessRandom") for kind in outside)


def test_a_compiled_step_along_gradients_that_are_not_finite_changes_nothing(config, strategy):
    state = TrainingState(config, strategy)
    optimizer, variables = state.D_opt, state.D.variables_at(2)
    gradients = {name: tf.ones(v.shape) for name, v in variables.items()}
    step = tf.function(
        lambda gradients: optimizer.apply(variables, gradients, LRATE, is_compiled=True)
    )
    assert step(gradients)
    before = arrays_of(state)
    last = [*gradients][-1]
    assert not step(gradients | {last: gradients[last] * np.nan})
    for name, array in arrays_of(state).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert step(gradients)
    assert any(np.any(array != before[name]) for name, array in arrays_of(state).items())


def test_the_compiled_step_is_that_of_the_kernel(config, strategy, rng):
    found = []
    draws = {}
    for is_compiled in (False, True):
        state = TrainingState(config, strategy)
        variables = state.G.variables_at(2)
        for name, variable in variables.items():
            draws.setdefault(name, rng.normal(size=variable.shape).astype(np.float32))
        for scale in (1.0, 0.3):
            gradients = {name: tf.constant(scale * draw) for name, draw in draws.items()}
            state.G_opt.apply(variables, gradients, tf.constant(LRATE), is_compiled)
        found.append(arrays_of(state))
    for name, array in found[0].items():
        largest = max(np.abs(array).max(), 1e-6)
        np.testing.assert_allclose(found[1][name] / largest, array / largest, rtol=0, atol=1e-6)


def test_what_xla_cannot_compile_is_one_line_that_says_what_helps(
    config, dataset, strategy, monkeypatch
):
    def leaky_relu(x, slope):
        number = tf.strings.to_number(tf.as_string(tf.stop_gradient(tf.reduce_max(x))))
        return tf.nn.leaky_relu(x, slope) + 0 * number

    monkeypatch.setattr(training, "leaky_relu", leaky_relu)
    config = config.replace({"training.jit": "on"})
    stepper = Stepper(TrainingState(config, strategy), config, dataset, strategy)
    call = plan.next_call(config.schedule, config.training, 0, 0).split(1)[0]
    with pytest.raises(ValueError, match=r"XLA could not compile training at 4x4") as caught:
        stepper.run(call)
    message = str(caught.value)
    assert message.endswith("Train without XLA: --jit=off.")
    assert len(message.splitlines()) == 1
    assert "AsString" in message


def test_all_gradients_of_a_network_are_one_all_reduce(monkeypatch):
    """One collective per update; a collective per weight would wait 40 times."""
    calls = []

    class Context:
        num_replicas_in_sync = 2

        def all_reduce(self, how, tensors):
            calls.append((how, len(tensors)))
            return [2 * tensor for tensor in tensors]

    monkeypatch.setattr(tf.distribute, "get_replica_context", Context)
    gradients = {"a": tf.constant(1.0), "b": tf.constant(2.0), "c": tf.constant(3.0)}
    means = differentiation.average_over_replicas(gradients)
    assert calls == [(tf.distribute.ReduceOp.MEAN, 3)]
    assert {name: float(mean) for name, mean in means.items()} == {"a": 2.0, "b": 4.0, "c": 6.0}
