"""--precision and --jit: the same training with other arithmetic."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.training import plan, precision
from pgtf.training.adam import LOSS_SCALING_DEC, LOSS_SCALING_INC, LOSS_SCALING_INIT, Adam
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper


def run(config, dataset, strategy, iterations, nimg=0):
    """Runs so many iterations at 4x4 (at 8x8 if `nimg` says so): -> state, statistics."""
    config = config.for_dataset(dataset.resolution_log2, 3, 0, 1)
    state = TrainingState(config, strategy)
    call = plan.next_call(config.schedule, config.training, nimg, nimg)
    size = call.now.minibatch
    nimgs = [nimg + k * size for k in range(iterations)]
    numbers = ([x[0]] * iterations for x in (call.alphas, call.G_lrates, call.D_lrates))
    call = plan.Call(call.now, nimgs, *numbers, nimgs[-1] + size)
    stepper = Stepper(state, config, dataset, strategy)
    return state, dict(zip(stepper.statistics, stepper.run(call).T, strict=True))


def arrays_of(state):
    groups, _ = state.pack()
    return {f"{g}/{k}": np.array(v) for g, arrays in groups.items() for k, v in arrays.items()}


@pytest.fixture(scope="module")
def half(config, dataset, strategy):
    """A function: iterations, learning rate or None -> statistics after these at 4x4 in fp16.

    Its attribute `state` is that of a run, whose stage is traced once; `begin` sets it back.
    """
    config = config.replace({"training.precision": "fp16"}).for_dataset(3, 3, 0, 1)
    assert config.training.adam_beta1 == 0  # Adam's first moment is the gradient itself.
    state = TrainingState(config, strategy)
    initial, stepper = state.pack(), Stepper(state, config, dataset, strategy)

    def call(iterations, lrate=None):
        planned = plan.next_call(config.schedule, config.training, 0, 0)
        size = planned.now.minibatch
        nimgs = [k * size for k in range(iterations)]
        lrates = [planned.G_lrates[0] if lrate is None else lrate] * iterations
        alphas, end_nimg = [planned.alphas[0]] * iterations, iterations * size
        rows = stepper.run(plan.Call(planned.now, nimgs, alphas, lrates, lrates, end_nimg))
        return dict(zip(stepper.statistics, rows.T, strict=True))

    call.state, call.begin = state, lambda: state.unpack(*initial, "memory")
    return call


def test_50_iterations_in_fp16_find_the_loss_scale_and_then_train(half):
    """Both gradients, outer and inner, overflow at 2**64 and fit float16 at about 2**16."""
    half.begin()
    before = arrays_of(half.state)
    iterations = 80
    statistics = half(iterations)
    after = arrays_of(half.state)
    for kind in ("G", "D"):
        scaling = after[f"{kind}_opt/loss_scaling"]
        # Every iteration either lowered or raised it.
        lowered = (LOSS_SCALING_INIT + iterations * LOSS_SCALING_INC - scaling) / (
            LOSS_SCALING_DEC + LOSS_SCALING_INC
        )
        assert lowered == pytest.approx(round(lowered), abs=0.01)
        assert 30 <= round(lowered) < iterations - 10
        # Adam counts only the updates that were made.
        updates = round(np.log(after[f"{kind}_opt/beta2_power"]) / np.log(0.99)) - 1
        assert updates == iterations - round(lowered)
        assert np.any(after[f"{kind}/4x4/Conv/weight"] != before[f"{kind}/4x4/Conv/weight"])
    assert not statistics["skipped"].any()  # the search for the scale is no divergence
    assert np.all(np.isfinite(statistics["mixed_norms"]) == np.isfinite(statistics["D_loss"]))
    assert np.all(np.isfinite(statistics["D_loss"][-10:]))
    assert all(np.all(np.isfinite(array)) for array in after.values())


def test_an_overflow_later_skips_one_update_and_halves_the_scale():
    weights = {"w": tf.Variable([1.0, 2.0])}
    optimizer = Adam(weights, 0.0, 0.99, 1e-8, use_loss_scaling=True)
    optimizer.variables_by_name["loss_scaling"].assign(10.0)
    assert float(optimizer.loss_scale()) == 1024
    assert optimizer.apply(weights, {"w": tf.constant([1.0, np.inf])}, tf.constant(0.1))
    assert float(optimizer.loss_scale()) == 512
    np.testing.assert_array_equal(weights["w"], [1, 2])
    assert optimizer.apply(weights, {"w": tf.constant([1.0, 1.0])}, tf.constant(0.1))
    assert np.log2(optimizer.loss_scale()) == pytest.approx(9.0005, abs=1e-4)
    np.testing.assert_allclose(weights["w"], [0.9, 1.9], rtol=1e-5)


def test_what_is_not_finite_at_scale_one_counts_as_skipped():
    weights = {"w": tf.Variable([1.0])}
    optimizer = Adam(weights, 0.0, 0.99, 1e-8, use_loss_scaling=True)
    optimizer.variables_by_name["loss_scaling"].assign(0.0)
    assert not optimizer.apply(weights, {"w": tf.constant([np.nan])}, tf.constant(0.1))


def test_the_inner_gradient_survives_float16_only_with_its_scale():
    images = tf.ones([2, 2, 2, 1])

    def D(x):
        tiny = tf.cast(x, tf.float16) * tf.constant(2**-24, tf.float16)  # the smallest float16
        return tf.cast(tf.reduce_sum(tiny, axis=[1, 2]) * 0.25, tf.float32)

    _, lost = losses.gradient_norms(D, images, enlargement=1)
    _, found = losses.gradient_norms(D, images, enlargement=1, loss_scale=tf.constant(2.0**10))
    np.testing.assert_array_equal(lost, 0)
    np.testing.assert_allclose(found, 2 * 2**-26, rtol=1e-3)


@pytest.mark.slow
def test_bf16_follows_fp32_through_the_first_iterations(config, dataset, strategy):
    (single, ours), (half, theirs) = (
        run(config.replace({"training.precision": p}), dataset, strategy, 8, nimg=136)
        for p in ("fp32", "bf16")
    )
    np.testing.assert_allclose(theirs["mixed_norms"], ours["mixed_norms"], rtol=0.1, atol=0.02)
    single, half = arrays_of(single), arrays_of(half)
    assert single.keys() == half.keys()
    moved = single["D/8x8/Conv0/weight"]
    assert np.any(half["D/8x8/Conv0/weight"] != moved)
    assert np.corrcoef(half["D/8x8/Conv0/weight"].ravel(), moved.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("precision_", ["bf16", "fp16"])
def test_half_precision_raises_the_epsilon_of_pixel_norm(config, precision_):
    fitted = config.replace({"training.precision": precision_}).for_dataset(3, 3, 0, 1)
    assert fitted.G.pixelnorm_epsilon == 1e-4
    large = config.replace({"training.precision": precision_, "G.pixelnorm_epsilon": 1e-2})
    assert large.for_dataset(3, 3, 0, 1).G.pixelnorm_epsilon == 1e-2
    assert config.for_dataset(3, 3, 0, 1).G.pixelnorm_epsilon == 1e-8


def test_tf32_without_a_gpu_is_refused_naming_what_to_use():
    with pytest.raises(ValueError, match="must be fp32, bf16 or fp16 on a CPU.*precision=tf32"):
        precision.configure("tf32")


def test_tf32_leaves_images_in_nhwc(monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU:0"])
    try:
        precision.configure("tf32")
        assert tf.config.experimental.tensor_float_32_execution_enabled()
        assert tf.config.optimizer.get_experimental_options()["layout_optimizer"] is False
    finally:
        tf.config.optimizer.set_experimental_options({"layout_optimizer": True})
        precision.configure("fp32")


@pytest.mark.slow  # XLA compiles an iteration
@pytest.mark.parametrize(
    ("accumulation", "nimg"),
    [(1, 0), (2, 72)],  # At 8x8 while fading all layers take part.
)
def test_compiled_gradients_are_those_of_the_uncompiled_step(
    config, dataset, strategy, accumulation, nimg
):
    """Within 1e-5 of the largest."""
    # At 1e-8 a first step of Adam is the sign of a gradient, and round-off may decide signs.
    changes = {"training.adam_epsilon": 1e-3, "schedule.grad_accumulation": accumulation}
    states = [
        run(config.replace(changes | {"training.jit": jit}), dataset, strategy, 1, nimg)[0]
        for jit in ("off", "on")
    ]
    plain, compiled = map(arrays_of, states)
    assert plain.keys() == compiled.keys()
    for name, expected in plain.items():
        largest = max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(compiled[name] / largest, expected / largest, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("capability", "name", "is_advised"),
    [
        ((9, 0), "fp32", True),
        ((8, 0), "tf32", True),
        ((7, 5), "fp32", False),
        ((9, 0), "bf16", False),
    ],
)
def test_bf16_is_recommended_on_gpus_that_have_it(monkeypatch, capability, name, is_advised):
    assert precision.advice("fp32") is None  # without a GPU
    details = {"compute_capability": capability, "device_name": "NVIDIA H200"}
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    text = precision.advice(name)
    assert (text is not None) == is_advised
    assert not is_advised or text.startswith("NVIDIA H200 ") and "--precision=bf16" in text


def test_precision_is_part_of_the_configuration(config):
    changed = config.replace({"training.precision": "bf16"})
    assert config.differences(changed) == ["training.precision: 'fp32' -> 'bf16'"]
    assert type(config).from_json(changed.to_json()) == changed
    assert dataclasses.asdict(config.training)["jit"] == "auto"


def test_both_gradients_are_the_same_at_any_loss_scale(half):
    """Adam's steps would hide a factor; its first moment, without decay, is the gradient itself."""
    found = []
    for log2 in (6.0, 10.0):
        half.begin()
        for optimizer in (half.state.G_opt, half.state.D_opt):
            optimizer.variables_by_name["loss_scaling"].assign(log2)
        # Without a learning rate G's gradient does not depend on the rounding of D's.
        half(1, lrate=0.0)
        found.append({k: v for k, v in arrays_of(half.state).items() if "_opt/m/" in k})
    moved = [name for name, gradient in found[0].items() if np.any(gradient)]
    assert {name[:5] for name in moved} == {"G_opt", "D_opt"}
    for name in moved:
        small, large = (gradients[name] / np.abs(found[0][name]).max() for gradients in found)
        # Float16 keeps 11 bits, and fewer of what is below 2**-14 at the smaller scale.
        np.testing.assert_allclose(large, small, rtol=0, atol=0.02, err_msg=name)
