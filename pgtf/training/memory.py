"""The most memory that training has held."""

import contextlib
import pathlib
import resource
import sys

import tensorflow as tf

_GIB = 2**30


def peak_gib():
    """Most GPU memory held so far, or the peak resident memory of a process without GPUs."""
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        peaks = [tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus]
        return max(peaks) / _GIB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB


def forget_peak():
    """Makes `peak_gib` start again from what is held now, where the system allows it."""
    for gpu in tf.config.list_logical_devices("GPU"):
        tf.config.experimental.reset_memory_stats(gpu.name)
    with contextlib.suppress(OSError):  # Linux: resets the peak of the resident memory
        pathlib.Path("/proc/self/clear_refs").write_text("5")
