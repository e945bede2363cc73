"""Gradients of first and second order, and the order of work in a graph."""

import tensorflow as tf


def all_orders(function, x, kernel, weights):
    """Values, and gradients as in a gradient penalty: -> y, dL/dx, and those of its square norm.

    Args:
        function: of x and kernel.
        x, kernel: tensors.
        weights: of the squares of y in L.
    """
    with tf.GradientTape() as outer:
        outer.watch([x, kernel])
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x, kernel)
            total = tf.reduce_sum(tf.square(y) * weights)
        first = inner.gradient(total, x)
        penalty = tf.reduce_sum(tf.square(first))
    second = outer.gradient(penalty, [x, kernel], unconnected_gradients="zero")
    return [y, first, *second]


def behind(operation):
    """Everything that is done before an operation of a graph, and itself: -> set."""
    done, todo = set(), [operation]
    while todo:
        operation = todo.pop()
        if operation not in done:
            done.add(operation)
            todo += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    return done
