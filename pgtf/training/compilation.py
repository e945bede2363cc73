"""--jit: compilation of the gradients of a stage by XLA."""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf

REPEATS = 3


def is_used(option: str, trial: Callable[[bool], None]) -> bool:
    """Decides for a stage: True if XLA should compile its gradients.

    Args:
        option: "on", "off" or "auto", which measures on GPUs and is "off" on CPUs, because XLA's
            convolutions are slower there than oneDNN's: docs/performance.md.
        trial: a function (jit) that runs the stage's gradients, traced, without changing anything.
    """
    if option != "auto" or not tf.config.get_visible_devices("GPU"):
        return option == "on"
    return is_faster_compiled(trial)


def is_faster_compiled(trial: Callable[[bool], None]) -> bool:
    """True if `trial(True)` is faster than `trial(False)`, not counting the first call of each."""
    seconds = {}
    for jit in (False, True):
        trial(jit)
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            trial(jit)
            times.append(time.perf_counter() - started)
        seconds[jit] = min(times)
    return seconds[True] < seconds[False]
