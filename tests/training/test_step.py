"""Losses of both networks put together, their gradients, and the order of an iteration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.losses import LossTerms
from pgtf.training import differentiation, objectives, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny

BATCH = 4
CONFIG = losses.LossConfig(wgan_lambda=7, wgan_epsilon=0.02, wgan_target=0.5, cond_weight=0.3)


@pytest.fixture(scope="module", params=[0, 2], ids=["unlabelled", "labelled"])
def networks(request):
    rng = np.random.default_rng(0)
    options = {"label_size": request.param}
    G = tiny.with_random_biases(tiny.generator(**options), rng)
    return G, tiny.with_random_biases(tiny.discriminator(**options), rng)


@pytest.fixture
def inputs(networks, rng):
    """Arguments of discriminator_parts for a minibatch at 8x8 during a fade."""
    return {
        "reals": tf.constant(rng.uniform(-1, 1, size=[BATCH, 8, 8, 3]), tf.float32),
        "labels": tf.constant(rng.uniform(size=[BATCH, networks[0].config.label_size]), tf.float32),
        "latents": tf.constant(rng.normal(size=[BATCH, tiny.LATENT_SIZE]), tf.float32),
        "mixing": tf.constant(rng.uniform(size=[BATCH, 1, 1, 1]), tf.float32),
        "alpha": tf.constant(0.25),
    }


def test_discriminator_loss_is_made_of_its_components_for_each_sample(networks, inputs):
    G, D = networks
    terms = tiny.sum_of(objectives.discriminator_parts(G, D, **inputs, config=CONFIG))
    c = {name: value.numpy() for name, value in terms.components.items()}
    expected = c["fake_scores"] - c["real_scores"]
    expected += 7 * (c["mixed_norms"] - 0.5) ** 2 / 0.25 + 0.02 * c["drift"]
    if D.config.label_size:
        expected += 0.3 * (c["real_label_penalty"] + c["fake_label_penalty"])
    assert {value.shape for value in c.values()} == {terms.loss.shape} == {(BATCH,)}
    np.testing.assert_allclose(terms.loss, expected, rtol=1e-5)


def test_components_are_those_of_the_networks_at_the_lod_of_the_reals(networks, inputs):
    G, D = networks
    c = tiny.sum_of(objectives.discriminator_parts(G, D, **inputs, config=CONFIG)).components
    labels = inputs["labels"] if G.config.label_size else None
    fakes = G(inputs["latents"], labels, lod=1.75)  # the labels of the reals
    (real_scores, real_logits), (fake_scores, fake_logits) = (
        D(inputs["reals"], 1.75),
        D(fakes, 1.75),
    )
    mixed = losses.mix(inputs["reals"], fakes, inputs["mixing"])
    expected = {
        "real_scores": real_scores[:, 0],
        "fake_scores": fake_scores[:, 0],
        "mixed_scores": D(mixed, 1.75)[0][:, 0],
        "drift": real_scores[:, 0] ** 2,
    }
    if labels is not None:
        expected["real_label_penalty"] = losses.label_penalty(real_logits, labels)
        expected["fake_label_penalty"] = losses.label_penalty(fake_logits, labels)
    assert c.keys() == expected.keys() | {"mixed_norms"}
    for name, values in expected.items():
        np.testing.assert_allclose(c[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_gradient_norms_are_those_with_respect_to_full_size_images(networks, inputs):
    """At lod 1.75 the original's D gets each pixel of the 8x8 image as 2x2 pixels of 16x16."""
    G, D = networks
    c = tiny.sum_of(objectives.discriminator_parts(G, D, **inputs, config=CONFIG)).components
    labels = inputs["labels"] if G.config.label_size else None
    mixed = losses.mix(
        inputs["reals"], G(inputs["latents"], labels, lod=1.75), inputs["mixing"]
    ).numpy()
    full = tf.constant(mixed.repeat(2, axis=1).repeat(2, axis=2))
    with tf.GradientTape() as tape:
        tape.watch(full)
        total = tf.reduce_sum(D(full, lod=1.75)[0])
    gradient = tape.gradient(total, full).numpy()
    expected = np.linalg.norm(gradient.reshape(BATCH, -1), axis=1)
    np.testing.assert_allclose(c["mixed_norms"], expected, rtol=1e-4)


def test_generator_loss_is_the_negative_score_and_the_label_penalty(networks, inputs):
    G, D = networks
    args = (inputs["latents"], inputs["labels"], 8, inputs["alpha"])
    terms = objectives.generator_terms(G, D, *args, CONFIG)
    labels = inputs["labels"] if G.config.label_size else None
    scores, logits = D(G(inputs["latents"], labels, lod=1.75), lod=1.75)
    expected = -scores.numpy()[:, 0]
    if labels is not None:
        expected += 0.3 * losses.label_penalty(logits, labels)
    assert terms.loss.shape == (BATCH,)
    np.testing.assert_allclose(terms.loss, expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_mean_for_the_given_variables_alone():
    used, unused = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([5.0])
    hidden = tf.Variable([1.0, 1.0, 1.0])

    def terms():
        return LossTerms(used**2 * hidden, {})

    found, gradients = differentiation.gradients_of([terms], {"used": used, "unused": unused})
    np.testing.assert_array_equal(found.loss, [1, 4, 9])
    assert gradients.keys() == {"used", "unused"}
    np.testing.assert_allclose(gradients["used"], np.float32([2, 4, 6]) / 3)
    np.testing.assert_array_equal(gradients["unused"], [0])


def test_a_part_of_a_loss_begins_when_the_gradients_of_the_one_before_are_done():
    """So their activations are not in memory together; the sum is that of the parts."""
    weight = tf.constant([1.0, 2.0])

    def gradients(weight):
        parts = [
            lambda: LossTerms(weight**3, {"first": weight}),
            lambda: LossTerms(tf.sin(weight, name="second"), {"second": weight}),
        ]
        return differentiation.gradients_of(parts, {"w": weight})

    terms, found = gradients(weight)
    np.testing.assert_allclose(terms.loss, weight**3 + tf.sin(weight))
    assert terms.components.keys() == {"first", "second"}
    np.testing.assert_allclose(found["w"], (3 * weight**2 + tf.cos(weight)) / 2, rtol=1e-6)
    traced = tf.function(lambda weight: gradients(weight)[1], autograph=False)
    graph = traced.get_concrete_function(weight).graph
    (done,) = graph.get_operation_by_name("second").control_inputs
    (waited_for,) = done.control_inputs
    assert "gradient_tape" in waited_for.name


def test_gradients_of_both_losses_follow_a_small_step(networks, inputs):
    """To first order the mean loss changes by the gradient times the step."""
    G, D = networks
    args = (inputs["latents"], inputs["labels"], 8, inputs["alpha"])
    for network, parts in (
        (D, objectives.discriminator_parts(G, D, **inputs, config=CONFIG)),
        (G, [lambda: objectives.generator_terms(G, D, *args, CONFIG)]),
    ):
        variables = network.variables_at(3)
        _, gradients = differentiation.gradients_of(parts, variables)
        norm = np.sqrt(sum(np.sum(g.numpy() ** 2) for g in gradients.values()))
        means = []
        for sign in (1, -2, 1):  # there, to the other side, and back
            for name, variable in variables.items():
                variable.assign_add(gradients[name] * (sign * 0.003 / norm))
            means.append(float(tf.reduce_mean(tiny.sum_of(parts).loss)))
        assert (means[0] - means[1]) / 0.006 == pytest.approx(norm, rel=0.02)


def test_one_replica_averages_nothing():
    gradients = {"w": tf.constant([1.0])}
    assert differentiation.average_over_replicas(gradients) is gradients


@pytest.fixture(scope="module")
def begin(config, dataset, strategy):
    """A function: -> state and stepper at the start of a run; each stage is traced once."""
    state = TrainingState(config, strategy)
    stepper, initial = Stepper(state, config, dataset, strategy), state.pack()

    def call():
        state.unpack(*initial, "memory")
        return state, stepper

    return call


@pytest.fixture(scope="module")
def history(config, begin):
    """Weights of G, D and Gs before and after each iteration of one call, run one by one."""
    state, stepper = begin()
    call = plan.next_call(config.schedule, config.training, 0, 0)
    history = [weights_of(state)]
    for nimg, *numbers in zip(call.nimgs, call.alphas, call.G_lrates, call.D_lrates, strict=True):
        alphas, G_lrates, D_lrates = ([number] for number in numbers)
        end_nimg = nimg + call.now.minibatch
        stepper.run(plan.Call(call.now, [nimg], alphas, G_lrates, D_lrates, end_nimg))
        history.append(weights_of(state))
    return history


def weights_of(state):
    return {kind: tiny.arrays_of(network) for kind, network in state.networks().items()}


@pytest.mark.slow  # test_loop.py counts the traces of a run
def test_a_fade_and_what_follows_are_traced_once_whatever_alpha_position_and_length_of_the_call(
    config, dataset, strategy, monkeypatch
):
    traced = []

    def counted(G, D, reals, *args, parts=objectives.discriminator_parts, **options):
        is_fading = args[3] is not None  # alpha
        traced.append((reals.shape[1], is_fading))
        return parts(G, D, reals, *args, **options)

    monkeypatch.setattr(objectives, "discriminator_parts", counted)
    state = TrainingState(config, strategy)
    variables = {kind: network.variables_by_name for kind, network in state.networks().items()}
    stepper = Stepper(state, config, dataset, strategy)
    # Fading twice, stable, and each again.
    for nimg, length in ((72, 1), (80, 2), (136, 1), (72, 1), (136, 2)):
        call = plan.next_call(config.schedule, config.training, nimg, nimg)
        numbers = (call.nimgs, call.alphas, call.G_lrates, call.D_lrates)
        end_nimg = nimg + length * call.now.minibatch
        stepper.run(plan.Call(call.now, *(x[:length] for x in numbers), end_nimg))
    assert traced == [(8, True), (8, False)]
    # A change of stage makes and copies no variable.
    for kind, network in state.networks().items():
        assert all(network.variables_by_name[k] is v for k, v in variables[kind].items())


def test_the_moving_average_follows_the_generator_one_iteration_late(config, history):
    decay = config.training.G_smoothing
    for name, initial in history[0]["G"].items():
        np.testing.assert_array_equal(history[1]["Gs"][name], initial)
        for before, after in itertools.pairwise(history):
            G, Gs = before["G"][name], before["Gs"][name]
            expected = G + (Gs - G) * decay
            np.testing.assert_allclose(after["Gs"][name], expected, rtol=1e-7, atol=1e-7)
    assert np.all(history[2]["Gs"]["4x4/Conv/weight"] != history[0]["Gs"]["4x4/Conv/weight"])


def test_an_iteration_moves_the_layers_of_its_resolution_only(history):
    before, after = history[:2]
    for network, finest in (("G", "ToRGB_lod0"), ("D", "FromRGB_lod0")):
        moved = {
            name for name in after[network] if np.any(after[network][name] != before[network][name])
        }
        assert any(name.startswith("8x8") for name in before[network])
        assert not any(name.startswith(("8x8", finest)) for name in moved)
        assert {"4x4/Conv/weight", "4x4/Conv/bias"} < moved


def test_a_call_of_several_iterations_is_the_same_as_several_calls(config, begin, history):
    state, stepper = begin()
    call = plan.next_call(config.schedule, config.training, 0, 0)
    rows = stepper.run(call)
    assert len(rows) == len(call.nimgs) == len(history) - 1 >= 3
    for kind, weights in weights_of(state).items():
        for name, array in weights.items():
            np.testing.assert_array_equal(array, history[-1][kind][name], err_msg=name)
