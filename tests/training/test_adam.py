"""Adam against a NumPy implementation, and what the original's loop asks of it beyond that."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.training.adam import Adam

SHAPES = {"a/weight": (3, 4), "a/bias": (4,), "b/weight": (2,)}
BETAS = [(0.0, 0.99), (0.9, 0.999)]


class NumpyAdam:
    """Kingma & Ba 2015, end of Section 2: epsilon beside the root of v, which is not corrected."""

    def __init__(self, beta1, beta2, epsilon):
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.t, self.m, self.v = 0, {}, {}

    def apply(self, weights, gradients, lrate):
        self.t += 1
        step = lrate * np.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        for name, g in gradients.items():
            self.m[name] = self.beta1 * self.m.get(name, 0) + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v.get(name, 0) + (1 - self.beta2) * g**2
            weights[name] -= step * self.m[name] / (np.sqrt(self.v[name]) + self.epsilon)


def variables():
    rng = np.random.default_rng(0)
    return {name: tf.Variable(rng.normal(size=s), dtype=tf.float32) for name, s in SHAPES.items()}


def gradients_like(variables, rng, scale=1.0):
    return {n: (scale * rng.normal(size=v.shape)).astype(np.float32) for n, v in variables.items()}


def numbers(variables, optimizer=None):
    """All that an update may move: {name: array}."""
    state = {} if optimizer is None else optimizer.variables_by_name
    return {name: variable.numpy() for name, variable in (variables | state).items()}


def assert_same(before, after, names=None):
    for name in before if names is None else names:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
@pytest.mark.parametrize("traced", [False, True])
def test_20_updates_follow_numpy(rng, beta1, beta2, traced):
    trained = variables()
    optimizer, expected = Adam(trained, beta1, beta2, 1e-8), NumpyAdam(beta1, beta2, 1e-8)
    weights = {name: v.numpy().astype(np.float64) for name, v in trained.items()}
    apply = tf.function(optimizer.apply) if traced else optimizer.apply
    for k in range(20):
        gradients, lrate = gradients_like(trained, rng), 0.01 * (k + 1)
        assert apply(trained, gradients, tf.constant(lrate))
        expected.apply(weights, gradients, lrate)
    for name, variable in trained.items():
        np.testing.assert_allclose(variable, weights[name], rtol=0, atol=1e-5)
    state = optimizer.variables_by_name
    for name in SHAPES:
        np.testing.assert_allclose(state[f"m/{name}"], expected.m[name], rtol=0, atol=1e-5)
        # 1 - 0.999 in float32 is off by 1.3e-5.
        np.testing.assert_allclose(state[f"v/{name}"], expected.v[name], rtol=3e-5)


def test_moments_have_memory_of_their_own_from_the_beginning(rng):
    """A shared zero tensor would be copied by the first update, wherever memory is free."""
    trained = variables()
    optimizer = Adam(trained, 0.0, 0.99, 1e-8)

    def addresses():
        slots = {k: v for k, v in optimizer.variables_by_name.items() if "/" in k}
        values = {name: np.asarray(slot.read_value()) for name, slot in slots.items()}
        return {name: v.__array_interface__["data"][0] for name, v in values.items()}

    before = addresses()
    optimizer.apply(trained, gradients_like(trained, rng), tf.constant(0.01))
    assert len(set(before.values())) == 2 * len(SHAPES)
    assert addresses() == before


@pytest.mark.parametrize("t", [1, 2, 10])
def test_epsilon_is_not_bias_corrected(t):
    """With gradients as small as epsilon the two usual forms of Adam differ much at first."""
    lrate, g, epsilon = 0.1, 1e-8, 1e-8
    trained = {"w": tf.Variable(0.0)}
    optimizer = Adam(trained, 0.0, 0.99, epsilon)
    for _ in range(t):
        before = trained["w"].numpy()
        optimizer.apply(trained, {"w": tf.constant(g)}, tf.constant(lrate))
    correction = np.sqrt(1 - 0.99**t)
    ours = lrate * correction * g / (g * correction + epsilon)  # sqrt(v) = g * correction
    corrected = lrate * g / (g + epsilon)
    assert before - trained["w"].numpy() == pytest.approx(ours, rel=1e-4)
    assert abs(ours / corrected - 1) > 0.3


def test_the_first_step_is_the_learning_rate_against_the_sign_of_each_gradient(rng):
    trained = variables()
    before, gradients = numbers(trained), gradients_like(trained, rng)
    Adam(trained, 0.0, 0.99, 1e-8).apply(trained, gradients, tf.constant(0.01))
    for name, variable in trained.items():
        moved = variable.numpy() - before[name]
        np.testing.assert_allclose(moved, -0.01 * np.sign(gradients[name]), rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("traced", [False, True])
def test_one_value_that_is_not_finite_leaves_every_number_as_it_was(rng, bad, traced):
    trained = variables()
    optimizer = Adam(trained, 0.9, 0.99, 1e-8)
    apply = tf.function(optimizer.apply) if traced else optimizer.apply
    assert apply(trained, gradients_like(trained, rng), tf.constant(0.01))
    before = numbers(trained, optimizer)
    gradients = gradients_like(trained, rng)
    gradients["b/weight"][1] = bad
    assert not apply(trained, gradients, tf.constant(0.01))
    assert_same(before, numbers(trained, optimizer))
    assert apply(trained, gradients_like(trained, rng), tf.constant(0.01))  # and goes on
    assert np.all(np.isfinite(trained["b/weight"]))


def test_a_subset_moves_alone_and_the_step_count_is_common(rng):
    trained = variables()
    optimizer = Adam(trained, 0.9, 0.99, 1e-8)
    before = numbers(trained, optimizer)
    subset = {"a/bias": trained["a/bias"]}
    optimizer.apply(subset, gradients_like(subset, rng), tf.constant(0.01))
    after = numbers(trained, optimizer)
    moved = {name for name in after if np.any(after[name] != before[name])}
    assert moved == {"a/bias", "m/a/bias", "v/a/bias", "beta1_power", "beta2_power"}


def test_after_a_reset_the_next_step_is_a_first_step(rng):
    first, other = variables(), variables()
    optimizer = Adam(first, 0.9, 0.99, 1e-8)
    fresh = numbers({}, optimizer)
    for _ in range(3):
        optimizer.apply(first, gradients_like(first, rng), tf.constant(0.01))
    weights = numbers(first, optimizer)
    optimizer.reset()
    assert_same(fresh, numbers({}, optimizer))
    assert_same(weights, numbers(first, optimizer), SHAPES)
    for name, variable in other.items():
        variable.assign(first[name])
    gradients = gradients_like(first, rng)
    optimizer.apply(first, gradients, tf.constant(0.01))
    Adam(other, 0.9, 0.99, 1e-8).apply(other, gradients, tf.constant(0.01))
    assert_same(numbers(first, optimizer), numbers(other, optimizer), SHAPES)


def test_the_state_is_two_moments_a_variable_and_two_powers():
    names = Adam(variables(), 0.0, 0.99, 1e-8).variables_by_name
    moments = [f"{kind}/{name}" for kind in "mv" for name in SHAPES]
    assert list(names) == [*moments, "beta1_power", "beta2_power"]
