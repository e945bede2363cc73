"""Parts of a graph that XLA compiles, each once per shape for all graphs of the process."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(
    function: Callable[..., Any], tensors: list[tf.Tensor], *numbers: float, now: bool = False
) -> Any:
    """Calls function(*tensors, *numbers), compiled by XLA.

    Args:
        function: defined in a module, because compiled functions are kept for the process.
        tensors: its first arguments.
        numbers: its other arguments, constants of the graph.
        now: compile while tracing if all shapes are known, not when the graph runs first.
    """
    specs = tuple((tuple(x.shape), x.dtype) for x in tensors)
    return _traced(function, specs, numbers, now)(*tensors)


@functools.cache
def _traced(
    function: Callable[..., Any], specs: tuple[Any, ...], numbers: tuple[float, ...], now: bool
) -> Any:
    traced = tf.function(lambda *x: function(*x, *numbers), jit_compile=True, autograph=False)
    with tf.init_scope():
        # Concrete functions, because TensorFlow counts the calls of all functions created here
        # together and would warn of retracing.
        concrete = traced.get_concrete_function(*(tf.TensorSpec(*spec) for spec in specs))
        if now and all(None not in shape for shape, _ in specs):
            in_graph = tf.function(lambda *x: concrete(*x), autograph=False)
            zeros = [tf.zeros(*spec) for spec in specs]
            in_graph.get_concrete_function(*zeros)(*zeros)
    return concrete
