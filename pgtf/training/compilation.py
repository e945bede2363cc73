"""--jit: whether XLA compiles the gradients of a stage."""

import time

import tensorflow as tf

REPEATS = 3


def is_used(option, trial):
    """Decides for a stage.

    Args:
        option: "on", "off" or "auto", which measures on GPUs; on CPUs it is "off", for XLA's
            convolutions are slower there than oneDNN's: docs/performance.md.
        trial: a function (jit) that runs the stage's gradients, traced, without changing anything.
    """
    if option != "auto" or not tf.config.get_visible_devices("GPU"):
        return option == "on"
    return is_faster_compiled(trial)


def is_faster_compiled(trial):
    """Whether `trial(True)` takes less time than `trial(False)`, the first call of each aside."""
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
