"""Gradients of a loss given in parts, over micro-batches and replicas."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import tensorflow as tf

from pgtf import ops
from pgtf.losses import LossTerms
from pgtf.networks import Network

Tensors = dict[str, tf.Tensor]  # by name


def gradients_of(
    parts: Sequence[Callable[[], LossTerms]],
    variables: Mapping[str, tf.Variable | tf.Tensor],
    loss_scale: tf.Tensor | None = None,
) -> tuple[LossTerms, Tensors]:
    """Computes the gradients of the mean of a loss that is the sum of its parts.

    A part is computed when the gradients of the previous one are complete, so that both can use the
    same memory. Only the given variables (or tensors) are watched, so nothing is computed for the
    other network.

    Args:
        parts: functions -> LossTerms.
        variables: {name: variable or tensor}.
        loss_scale: [] factor of the loss while it is differentiated, or None.

    Returns:
        The sum of the parts, and {name: gradient}.
    """
    total: LossTerms | None = None
    sums: list[tf.Tensor] = []
    for part in parts:
        # One edge to each operation of the next part instead of one per gradient.
        previous = [tf.group(*sums)] if sums else []
        with tf.control_dependencies(previous):
            terms, gradients = _gradients_of_part(part, list(variables.values()), loss_scale)
        total = terms if total is None else total + terms
        sums = [a + b for a, b in zip(sums, gradients, strict=True)] if sums else gradients
    if total is None:
        raise ValueError("`parts` must not be empty.")
    return total, dict(zip(variables, sums, strict=True))


def _gradients_of_part(
    part: Callable[[], LossTerms],
    variables: list[tf.Variable | tf.Tensor],
    loss_scale: tf.Tensor | None,
) -> tuple[LossTerms, list[tf.Tensor]]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        terms = part()
        mean_loss = tf.reduce_mean(terms.loss)
        if loss_scale is not None:
            mean_loss *= loss_scale
    with ops.weight_gradients_first(variables):
        gradients = tape.gradient(mean_loss, variables, unconnected_gradients="zero")
    if loss_scale is not None:
        gradients = [gradient / loss_scale for gradient in gradients]
    return terms, gradients


def mean_over_parts(
    part: Callable[[tf.Tensor | int], tuple[tf.Tensor, Tensors]],
    num_parts: int,
    num_values: int,
    variables: Mapping[str, tf.Variable],
) -> tuple[tf.Tensor, Tensors]:
    """Averages over micro-batches, of which one at a time is in memory.

    Args:
        part: function of an index in 0 ... num_parts - 1, passed as a tensor: -> [num_values]
            float32 and {name: gradient}.
        num_parts: number of micro-batches, all of the same size.
        num_values: length of the first result.
        variables: {name: variable}, those of the gradients.

    Returns:
        The means over all micro-batches of the results of `part`.
    """
    if num_parts == 1:
        return part(0)

    def add(index: tf.Tensor, values: tf.Tensor, gradients: Tensors) -> tuple[object, ...]:
        more_values, more = part(index)
        return index + 1, values + more_values, {k: v + more[k] for k, v in gradients.items()}

    zeros = {name: tf.zeros(variable.shape) for name, variable in variables.items()}
    _, values, gradients = tf.while_loop(
        lambda index, *_: index < num_parts,
        add,
        (tf.constant(0), tf.zeros([num_values]), zeros),
        parallel_iterations=1,  # more would need the memory that micro-batches save
    )
    return values / num_parts, {name: sum_ / num_parts for name, sum_ in gradients.items()}


def average_over_replicas(gradients: Tensors) -> Tensors:
    """Averages {name: tensor} over the replicas, as the original does over its GPUs."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, list(gradients.values()))
    return dict(zip(gradients, means, strict=True))


def read_weights(network: Network, resolution_log2: int) -> Tensors:
    """Reads the weights that a network uses at a resolution, in replica context: -> {name: tensor}.

    Used in place of the variables (`computing_with`), they make an update a pure function of
    tensors: it can be compiled, each variable is read once, and several passes share what they
    compute from a weight.
    """
    return {name: v.read_value() for name, v in network.stored_at(resolution_log2).items()}


@contextlib.contextmanager
def computing_with(*weights: tuple[Network, Tensors]) -> Iterator[None]:
    """Context manager for gradients: networks compute with tensors, and pgtf.ops for training."""
    pairs = (network.replacements(tensors) for network, tensors in weights)
    mapping = [*itertools.chain(*pairs)]
    with ops.implementation("training"), keras.StatelessScope(state_mapping=mapping):
        yield
