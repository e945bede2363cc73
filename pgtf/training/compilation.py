"""--jit: compilation of the iterations of a stage by XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def is_used(option: str) -> bool:
    """True if XLA should compile iterations.

    Nothing is measured, which would mean to compile twice: on GPUs a compiled iteration has half as
    many kernels and reads and writes half as many bytes (docs/performance.md), and XLA's
    convolutions are cuDNN's. On CPUs its convolutions are slower than oneDNN's.

    Args:
        option: "on", "off", or "auto", which is "on" for GPUs.
    """
    return option == "on" or (option == "auto" and bool(tf.config.get_visible_devices("GPU")))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of tensors, nested as they may be, that XLA compiles as one program."""
    return tf.function(function, jit_compile=True, autograph=False)
