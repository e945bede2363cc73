"""--jit: compilation of the iterations of a stage by XLA."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Parts of TensorFlow's messages that say where in a graph it happened, not what.
_NODE = re.compile(r"\{\{.*?\}\}")
_PLACES = ("Graph execution error", "Detected at node", "<stack traces", "File ", "node ")


def is_used(option: str) -> bool:
    """True if XLA should compile iterations.

    Nothing is measured, which would mean to compile twice: on GPUs a compiled iteration has half as
    many kernels and reads and writes half as many bytes (docs/performance.md), and XLA's
    convolutions are cuDNN's. On CPUs its convolutions are slower than oneDNN's.

    Args:
        option: "on", "off", or "auto", which is "on" for GPUs.
    """
    return option == "on" or (option == "auto" and bool(tf.config.get_visible_devices("GPU")))


def failure(resolution: int, error: tf.errors.OpError) -> str:
    """Returns a message for an error of the first iteration that XLA compiled at a resolution."""
    lines = [_NODE.sub("", line).strip() for line in str(error.message).splitlines()]
    reason = next((line for line in lines if line and not line.startswith(_PLACES)), "no reason")
    return (
        f"XLA could not compile training at {resolution}x{resolution}, or run it: {reason[:300]}. "
        "Train without XLA: --jit=off."
    )


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of tensors, nested as they may be, that XLA compiles as one program."""
    return tf.function(function, jit_compile=True, autograph=False)
