"""Operations of an update, read from its graph: nothing is computed in vain."""

import collections

import pytest
import tensorflow as tf

from pgtf import losses
from pgtf.training import differentiation, objectives
from tests import tiny

BATCH = 4
CONFIG = losses.LossConfig()
CONV, INPUT_GRADIENT = "Conv2D", "Conv2DBackpropInput"


def weight_gradients(counts):
    """Those that TensorFlow computes, and those made of gathered patches on a CPU."""
    return counts["Conv2DBackpropFilter"] + counts["GatherV2"]


def operations(function, *args):
    """Counts each kind of operation that the outputs of a function need."""
    graph = tf.function(function, autograph=False).get_concrete_function(*args)
    needed, todo = set(), [tensor.op for tensor in graph.outputs]
    while todo:
        operation = todo.pop()
        if operation not in needed:
            needed.add(operation)
            todo += [tensor.op for tensor in operation.inputs]
    return collections.Counter(operation.type for operation in needed)


@pytest.fixture(scope="module")
def counts():
    """Operations of both updates at 8x8: D has its fromRGBs, Conv0, Conv1_down and 4x4/Conv."""
    return counts_of(tf.constant(0.5))


def counts_of(alpha):
    G, D = tiny.generator(), tiny.discriminator()
    reals, latents = tf.zeros([BATCH, 8, 8, 3]), tf.zeros([BATCH, tiny.LATENT_SIZE])
    mixing = tf.zeros([BATCH, 1, 1, 1])

    def update_of_D():
        weights = {network: differentiation.read_weights(network, 3) for network in (G, D)}
        trained = {name: weights[D][name] for name in D.variables_at(3)}
        with differentiation.computing_with(*weights.items()):
            parts = objectives.discriminator_parts(
                G, D, reals, tf.zeros([BATCH, 0]), latents, mixing, alpha, CONFIG
            )
            terms, gradients = differentiation.gradients_of(parts, trained)
        return terms.loss, gradients

    def update_of_G():
        weights = {network: differentiation.read_weights(network, 3) for network in (G, D)}
        trained = {name: weights[G][name] for name in G.variables_at(3)}
        with differentiation.computing_with(*weights.items()):
            terms, gradients = differentiation.gradients_of(
                [lambda: objectives.generator_terms(G, D, latents, None, 8, alpha, CONFIG)], trained
            )
        return terms.loss, gradients

    return {"D": operations(update_of_D), "G": operations(update_of_G)}


def test_the_update_of_G_computes_the_weight_gradients_of_its_own_convolutions_alone(counts):
    assert weight_gradients(counts["G"]) == 5  # 4x4/Conv, Conv0_up, Conv1, two ToRGBs


def test_the_penalty_is_differentiated_only_where_there_is_a_second_derivative(counts):
    """5 weight gradients of reals and fakes together, 5 of the penalty, and 4 more before the
    minibatch standard deviation; behind it only leaky ReLUs follow, which have none.
    """
    assert weight_gradients(counts["D"]) == 5 + 5 + 4


def test_no_gradient_flows_into_reals_and_fakes(counts):
    """Transposed convolution of G; reals and fakes: all of D but its two fromRGBs; penalty: down to
    the images; its own gradient: from the statistic to the fromRGBs.
    """
    assert counts["D"][INPUT_GRADIENT] == 1 + 3 + 5 + 2


def test_reals_and_fakes_share_a_pass(counts):
    """G has 4 convolutions that are not transposed; D runs twice, and once along the penalty."""
    assert counts["D"][CONV] == 4 + 3 * 5


def test_outside_a_fade_nothing_is_computed_for_the_resolution_before(counts):
    """The old toRGB and fromRGB are not there, in any of the passes of the tests above."""
    stable = counts_of(None)
    assert weight_gradients(stable["G"]) == weight_gradients(counts["G"]) - 1
    assert weight_gradients(stable["D"]) == weight_gradients(counts["D"]) - 3
    assert stable["D"][INPUT_GRADIENT] == counts["D"][INPUT_GRADIENT] - 1
    assert stable["D"][CONV] == counts["D"][CONV] - 1 - 3


def test_every_weight_is_read_once(counts):
    networks = tiny.generator(), tiny.discriminator()
    num_variables = sum(len(network.variables_at(3)) for network in networks)
    assert counts["D"]["ReadVariableOp"] == counts["G"]["ReadVariableOp"] == num_variables
