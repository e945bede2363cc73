"""Which devices train, and the tf.distribute strategy that joins them."""

import platform

import keras
import tensorflow as tf


def make_strategy(num_gpus=None, cpu_replicas=0):
    """Chooses the strategy; must come before anything runs on TensorFlow's devices.

    Args:
        num_gpus: GPUs to train on; None = one if there is any, 0 = CPU.
        cpu_replicas: N > 0 splits the CPU into N logical devices, one replica each.

    Returns:
        A tf.distribute strategy; the default one, without overhead, for a single device.

    Raises:
        ValueError: if there are fewer GPUs than asked for, or both arguments exclude each other.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if cpu_replicas:
        if num_gpus:
            raise ValueError(
                "`--cpu_replicas` and `--gpus` exclude each other. "
                f"Received: cpu_replicas={cpu_replicas}, gpus={num_gpus}."
            )
        return _cpu_strategy(cpu_replicas)
    if num_gpus is None:
        num_gpus = min(len(gpus), 1)
    if num_gpus > len(gpus):
        names = ", ".join(gpu.name for gpu in gpus) or "none"
        raise ValueError(
            f"`--gpus` must not exceed the visible GPUs ({names}). Received: gpus={num_gpus}. "
            "Train on the CPU with --gpus=0."
        )
    for gpu in gpus[:num_gpus]:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.set_visible_devices(gpus[:num_gpus], "GPU")
    if num_gpus <= 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(num_gpus)])


def describe_devices(strategy):
    """One line for the log: devices of the replicas, versions, precision."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    where = ", ".join(map(str, names)) if names else "the CPU (no GPU is used)"
    return (
        f"{strategy.num_replicas_in_sync} replica(s) on {where}; TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}, Python {platform.python_version()}, fp32"
    )


def _cpu_strategy(replicas):
    cpu = tf.config.list_physical_devices("CPU")[0]
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [device] * replicas)
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
