"""The operations behind the layers, in the form that is fastest for what a graph is traced for.

    portable   TensorFlow's own operations and gradients: what is exported, and the default
    training   custom gradients of any order, arranged for speed and memory (on a GPU: gpu.py)
    inference  the fastest forward pass on this machine; has no gradients

    with ops.implementation("training"):
        images = model(inputs)

An implementation is a module with the functions of `Implementation`. It is chosen where a graph is
traced, so no layer or network knows about it, and it may differ by device: `_BY_DEVICE`.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import tensorflow as tf

from pgtf.ops import gpu, inference, portable, training
from pgtf.ops.devices import has_gpu
from pgtf.ops.ordering import weight_gradients_first

__all__ = [
    "Implementation",
    "conv2d",
    "conv2d_down",
    "conv2d_up",
    "has_gpu",
    "implementation",
    "is_joint_pass_faster",
    "leaky_relu",
    "normalized_rgb",
    "pixel_norm",
    "weight_gradients_first",
]


class Implementation(Protocol):
    """The functions that a module needs to implement the operations; described below."""

    def conv2d(self, x: tf.Tensor, weight: tf.Tensor, scale: Any) -> tf.Tensor: ...
    def conv2d_up(self, x: tf.Tensor, weight: tf.Tensor, scale: Any) -> tf.Tensor: ...
    def conv2d_down(self, x: tf.Tensor, weight: tf.Tensor, scale: Any) -> tf.Tensor: ...
    def leaky_relu(self, x: tf.Tensor, slope: float) -> tf.Tensor: ...
    def pixel_norm(self, x: tf.Tensor, epsilon: float, slope: float | None) -> tf.Tensor: ...
    def normalized_rgb(
        self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float
    ) -> tf.Tensor: ...


_BY_DEVICE: dict[str, dict[str, Implementation]] = {
    "CPU": {"portable": portable, "training": training, "inference": inference},
    "GPU": {"portable": portable, "training": gpu, "inference": portable},
}
_chosen: contextvars.ContextVar[Implementation] = contextvars.ContextVar(
    "implementation", default=portable
)


@contextlib.contextmanager
def implementation(name: Literal["portable", "training", "inference"]) -> Iterator[None]:
    """Context manager: operations traced inside take this implementation, for this thread."""
    token = _chosen.set(_BY_DEVICE["GPU" if has_gpu() else "CPU"][name])
    try:
        yield
    finally:
        _chosen.reset(token)


def is_joint_pass_faster(map_bytes: int) -> bool:
    """True if scoring two minibatches in one pass of D is faster than one after the other.

    On a GPU it always is: more images per kernel, and half as many kernels.

    Args:
        map_bytes: size of the finest float32 feature maps of one minibatch.
    """
    return has_gpu() or training.is_joint_pass_faster(map_bytes)


def conv2d(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """Convolves without changing the size: [N, H, W, in] * [K, K, in, out] -> [N, H, W, out].

    The kernel is weight * scale, cast to the dtype of x; `scale` is a number or a scalar tensor.
    """
    return _chosen.get().conv2d(x, weight, scale)


def conv2d_up(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """Nearest-neighbor upsampling, then a 3x3 convolution: [N, H, W, in] -> [N, 2H, 2W, out].

    The weight [3, 3, out, in] is that of a transposed convolution, as in the original release.
    """
    return _chosen.get().conv2d_up(x, weight, scale)


def conv2d_down(x: tf.Tensor, weight: tf.Tensor, scale: Any = 1.0) -> tf.Tensor:
    """A 3x3 convolution, then 2x2 average pooling: [N, H, W, in] -> [N, H/2, W/2, out]."""
    return _chosen.get().conv2d_down(x, weight, scale)


def leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """x where positive, slope * x elsewhere; 0 <= slope < 1."""
    return _chosen.get().leaky_relu(x, slope)


def pixel_norm(x: tf.Tensor, epsilon: float, slope: float | None = None) -> tf.Tensor:
    """Divides by the root mean square of the last axis, after `leaky_relu` if there is a slope.

    The statistics of half-precision values are computed in float32.
    """
    return _chosen.get().pixel_norm(x, epsilon, slope)


def normalized_rgb(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, epsilon: float) -> tf.Tensor:
    """`pixel_norm`, then a convolution and a bias: [N, H, W, in] -> [N, H, W, out]."""
    return _chosen.get().normalized_rgb(x, kernel, bias, epsilon)
