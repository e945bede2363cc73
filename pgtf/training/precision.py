"""--precision: the number format of convolutions and dense layers.

    fp32  float32, and nothing less: TensorFloat-32 is off
    tf32  float32 whose products have 10 bits of mantissa: GPUs from Ampere on
    bf16  bfloat16: the range of float32, 8 bits of mantissa
    fp16  float16: 11 bits, a small range; gradients are scaled dynamically (adam.Adam)

Weights, optimizer, statistics of norms and minibatch, toRGB, fromRGB, scores, losses and the
gradient penalty's norm are float32 with all of them.
"""

import tensorflow as tf

_FIRST_WITH_BF16 = (8, 0)  # compute capability: Ampere
_COMPUTE_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


def compute_dtype(precision: str) -> str:
    """Returns the dtype in which layers compute: "float32", "bfloat16" or "float16"."""
    return _COMPUTE_DTYPES.get(precision, "float32")


def advice(precision: str) -> str | None:
    """Recommends bf16 where a GPU has it and another precision is set; None otherwise."""
    if precision in _COMPUTE_DTYPES:
        return None
    for gpu in tf.config.get_visible_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        if details.get("compute_capability", (0, 0)) >= _FIRST_WITH_BF16:
            name = details.get("device_name", "this GPU")
            return (
                f"{name} computes in bfloat16: --precision=bf16 takes a third to two thirds of the "
                "time of fp32 (docs/performance.md)."
            )
    return None


def configure(precision: str) -> None:
    """Sets how TensorFlow computes float32 on GPUs; call it once, before training.

    Raises:
        ValueError: tf32 without a GPU.
    """
    if precision == "tf32" and not tf.config.get_visible_devices("GPU"):
        raise ValueError(
            "`--precision` must be fp32, bf16 or fp16 on a CPU, which has no TensorFloat-32. "
            "Received: precision=tf32."
        )
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    if precision == "tf32":
        # Otherwise TensorFlow transposes to NCHW, which takes 8-10% longer: docs/performance.md.
        tf.config.optimizer.set_experimental_options({"layout_optimizer": False})
