"""The device that operations are chosen for; networks, losses and layers never ask for it."""

import tensorflow as tf


def has_gpu() -> bool:
    """True if TensorFlow sees a GPU, where cuDNN's convolutions are faster than ours."""
    return bool(tf.config.list_logical_devices("GPU"))
