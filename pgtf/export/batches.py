"""Inputs of signatures: batches whose shapes are checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

Tensors = dict[str, tf.Tensor]
Specs = Mapping[str, tf.TensorSpec]


def rows_of(dtype: tf.DType = tf.float32, size: int | None = None) -> tf.TensorSpec:
    """Specifies an input: [N] or [N, size]."""
    return tf.TensorSpec([None] if size is None else [None, size], dtype)


def concrete(specs: Specs, function: Callable[..., Tensors]) -> Any:
    """Makes a signature, which checks its inputs against their specifications, then answers."""

    def checked(**inputs: tf.Tensor) -> Tensors:
        hidden = {name: _without_shape(value) for name, value in inputs.items()}
        with tf.control_dependencies(_checks(hidden, specs)):
            # An identity would not do: TensorFlow computes its shape before the checks.
            rows = {name: tf.reshape(x, [-1, *specs[name].shape[1:]]) for name, x in hidden.items()}
        return function(**rows)

    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    return tf.function(checked, autograph=False).get_concrete_function(**named)


def _without_shape(x: tf.Tensor) -> tf.Tensor:
    """Hides the declared shape from TensorFlow, which would take it for granted."""
    return tf.raw_ops.PlaceholderWithDefault(input=x, shape=tf.TensorShape(None))


def _checks(inputs: Tensors, specs: Specs) -> list[Any]:
    """Asserts that the inputs are one batch of the declared shapes with at least one row."""
    shapes = {name: tf.shape(x) for name, x in inputs.items()}
    first, checks = shapes[next(iter(specs))], []
    for name, shape in shapes.items():
        inner = specs[name].shape[1:].as_list()
        axes = ", ".join(["N", *map(str, inner)])
        message = f"`{name}` must be [{axes}], N at least 1 and the same for every input. Received:"
        expected = tf.concat([first[:1], tf.constant(inner, tf.int32)], 0)
        rank = tf.debugging.Assert(tf.size(shape) == 1 + len(inner), [message, shape])
        with tf.control_dependencies([rank]):  # Shapes of other ranks cannot be compared.
            same = tf.reduce_all((shape == expected) & (shape > 0))
            checks.append(tf.debugging.Assert(same, [message, shape]))
    return checks
