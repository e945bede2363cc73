"""Growing from R to 2R: nothing changes at alpha 0, nothing is copied, nothing is learnt early."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.losses import LossConfig
from pgtf.training import differentiation, objectives
from tests import tiny
from tests.networks import oracle

OLD, NEW = tf.constant(0.0), tf.constant(1.0)  # alpha


@pytest.fixture(scope="module", params=[True, False], ids=["fused", "unfused"])
def networks(request):
    rng = np.random.default_rng(0)
    G, D = (
        tiny.with_random_biases(make(label_size=2, fused_scale=request.param), rng)
        for make in (tiny.generator, tiny.discriminator)
    )
    return G, D


@pytest.fixture
def latents(rng):
    return tf.constant(rng.normal(size=[4, tiny.LATENT_SIZE]), tf.float32)


@pytest.fixture
def labels(rng):
    return tf.constant(rng.normal(size=[4, 2]), tf.float32)


@pytest.mark.parametrize("resolution_log2", [3, 4])
def test_images_of_the_grown_generator_are_the_old_ones_enlarged(
    networks, latents, labels, resolution_log2
):
    G, _ = networks
    before = G.model(resolution_log2 - 1)([latents, labels, NEW])
    after = G.model(resolution_log2)([latents, labels, OLD])
    np.testing.assert_array_equal(after, oracle.enlarged(before.numpy()))


@pytest.mark.parametrize("resolution_log2", [3, 4])
def test_scores_of_the_grown_discriminator_are_the_old_ones_of_box_averages(
    networks, rng, resolution_log2
):
    _, D = networks
    shape = [4, 2**resolution_log2, 2**resolution_log2, 3]
    images = rng.integers(-128, 128, size=shape).astype(np.float32) / 128  # their means are exact
    halved = oracle.halved(images)
    before = D.model(resolution_log2 - 1)([tf.constant(halved), NEW])
    after = D.model(resolution_log2)([tf.constant(images), OLD])
    for old, new in zip(before, after, strict=True):  # scores, label logits
        np.testing.assert_array_equal(new, old)
    # In particular an old image scores what it scored when it is enlarged.
    enlarged = D.model(resolution_log2)([tf.constant(oracle.enlarged(halved)), OLD])
    np.testing.assert_array_equal(enlarged[0], before[0])


@pytest.mark.parametrize("resolution_log2", [3, 4])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_a_branch_of_weight_zero_gets_no_gradient_and_the_others_do(
    networks, latents, labels, rng, resolution_log2, alpha
):
    G, D = networks
    size, lod = 2**resolution_log2, 4 - resolution_log2
    reals = tf.constant(rng.uniform(-1, 1, size=[4, size, size, 3]), tf.float32)
    mixing = tf.constant(rng.uniform(size=[4, 1, 1, 1]), tf.float32)
    weight = tf.constant(alpha)

    D_parts = objectives.discriminator_parts(
        G, D, reals, labels, latents, mixing, weight, LossConfig()
    )

    def G_terms():
        return objectives.generator_terms(G, D, latents, labels, size, weight, LossConfig())

    for network, parts, rgb in ((G, [G_terms], "ToRGB"), (D, D_parts, "FromRGB")):
        _, gradients = differentiation.gradients_of(parts, network.variables_at(resolution_log2))
        moved = {name.rsplit("/", 1)[0] for name, g in gradients.items() if np.any(g)}
        new = {name for name in moved if name.startswith((f"{size}x{size}", f"{rgb}_lod{lod}"))}
        assert bool(new) == (alpha > 0)
        assert (f"{rgb}_lod{lod + 1}" in moved) == (alpha < 1)
        unmoved = {name.rsplit("/", 1)[0] for name in gradients} - moved
        assert len(unmoved) == {0.0: 3, 0.5: 0, 1.0: 1}[alpha]


@pytest.mark.parametrize("resolution_log2", [2, 3, 4])
def test_without_fading_everything_is_that_of_alpha_1_to_the_bit(
    networks, latents, labels, rng, resolution_log2
):
    G, D = networks
    size = 2**resolution_log2
    reals = tf.constant(rng.uniform(-1, 1, size=[4, size, size, 3]), tf.float32)
    mixing = tf.constant(rng.uniform(size=[4, 1, 1, 1]), tf.float32)

    def found(alpha):
        D_parts = objectives.discriminator_parts(
            G, D, reals, labels, latents, mixing, alpha, LossConfig()
        )

        def G_terms():
            return objectives.generator_terms(G, D, latents, labels, size, alpha, LossConfig())

        of_D = differentiation.gradients_of(D_parts, D.variables_at(resolution_log2))
        of_G = differentiation.gradients_of([G_terms], G.variables_at(resolution_log2))
        return [(terms.loss, terms.components, gradients) for terms, gradients in (of_D, of_G)]

    for with_branch, without in zip(*map(tf.nest.flatten, (found(NEW), found(None))), strict=True):
        np.testing.assert_array_equal(without, with_branch)
    lod = float(4 - resolution_log2)
    images = G.model(resolution_log2)([latents, labels, NEW])
    np.testing.assert_array_equal(G(latents, labels, lod), images)
    np.testing.assert_array_equal(D(images, lod)[0], D.model(resolution_log2)([images, NEW])[0])


def test_the_models_of_all_resolutions_hold_the_same_variable_objects(networks):
    for network in networks:
        everything = {id(v) for v in network.trainable_variables}
        reached = set()
        for resolution_log2 in (4, 2, 3):  # in whatever order they are wired
            at = network.variables_at(resolution_log2).values()
            used = {id(v.value) for v in network.model(resolution_log2).trainable_variables}
            assert used == {id(v) for v in at} <= everything
            reached |= used
        assert reached == everything
        assert network.model(3) is network.model(3)


@pytest.mark.parametrize("resolution_log2", [2, 3, 4])
def test_models_are_the_same_eagerly_and_in_a_function(networks, latents, labels, resolution_log2):
    G, D = (network.model(resolution_log2) for network in networks)
    alpha = tf.constant(0.3)
    images = G([latents, labels, alpha])
    tiny.assert_the_same_but_for_rounding(tf.function(G)([latents, labels, alpha]), images)
    eager, traced = D([images, alpha]), tf.function(D)([images, alpha])
    for expected, found in zip(eager, traced, strict=True):
        tiny.assert_the_same_but_for_rounding(found, expected)
