"""Layers through which D sees a minibatch as a whole. Paper, Section 3 and Table 1, row e*."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from pgtf.networks import initial
from pgtf.networks.layers import Shape
from pgtf.networks.options import DISCRIMINATION_DIMS, check_splits

SELF_DISTANCE = 1e6  # keeps a sample from being its own neighbor
INITIAL_STDDEV, INITIAL_BIAS = 0.05, -1.0
_CHUNK = 32  # samples compared with all others at a time


@keras.saving.register_keras_serializable(package="pgtf")
class MinibatchStdDev(keras.layers.Layer):
    """Appends the mean standard deviation over groups: [N, H, W, C] -> [N, H, W, C + 1].

    Every (N / group)-th sample belongs to one group; `group` is at most N ("all" = N). Paper,
    Section 3; groups as in the original release, reference A.

    Raises:
        ValueError: if N is larger than the group and not a multiple of it.
    """

    def __init__(
        self, group_size: int | Literal["all"] = 4, epsilon: float = 1e-8, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.group_size = group_size
        self.epsilon = epsilon

    def call(self, x: tf.Tensor) -> tf.Tensor:
        batch, height, width, fmaps = x.shape
        group = tf.shape(x)[0]
        if self.group_size != "all":
            check_group(batch, self.group_size)
            group = tf.minimum(self.group_size, group)
        y = tf.reshape(x, [group, -1, height, width, fmaps])  # [group, N / group, H, W, C]
        return tf.concat([x, self._maps(y, group)], axis=-1)

    def _maps(self, y: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        """Computes maps to append: groups [group, N / group, H, W, C] -> [N, H, W, 1]."""
        height, width = y.shape[2:4]
        variance = tf.reduce_mean(tf.square(y - tf.reduce_mean(y, axis=0)), axis=0)
        stddev = tf.reduce_mean(tf.sqrt(variance + self.epsilon), axis=[1, 2, 3], keepdims=True)
        return tf.tile(stddev, [group, height, width, 1])

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict[str, Any]:
        config = {"group_size": self.group_size, "epsilon": self.epsilon}
        return super().get_config() | config


def check_group(batch: int | None, group_size: int) -> None:
    """Raises ValueError unless `batch` samples (None = unknown) form whole groups."""
    if batch is not None and batch > group_size and batch % group_size:
        raise ValueError(
            "the minibatch of D must be a multiple of `mbstd_group_size`, or smaller than it. "
            f"Received: minibatch={batch}, mbstd_group_size={group_size}."
        )


@keras.saving.register_keras_serializable(package="pgtf")
class MinibatchStatistic(MinibatchStdDev):
    """Appends a statistic over groups of samples: [N, H, W, C] -> [N, H, W, C + maps].

    `function` is computed over the samples of a group at each position and channel: Tstdeps =
    sqrt(variance + epsilon), Tstd = sqrt(variance), Tmean, Tsum. `average` appends:

        all      its mean over space and channels: 1 map
        group    its mean over space and each of `num_splits` parts of the channels: one map each
        spatial  its mean over space: C constant maps
        none     itself: C maps
        flat     the function over samples, space and channels at once: 1 map
        gpool    the function over samples and space at once: C constant maps

    Original Theano release.
    """

    def __init__(
        self, function: str = "Tstdeps", average: str = "all", num_splits: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.function, self.average, self.num_splits = function, average, num_splits

    def build(self, input_shape: Any) -> None:
        if self.average == "group":
            check_splits(input_shape[-1], self.num_splits)

    def _maps(self, y: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
        height, width, fmaps = y.shape[2:]
        axes = {"flat": [0, 2, 3, 4], "gpool": [0, 2, 3]}.get(self.average, [0])
        y = self._statistic(y, axes)[0]  # [N / group, H or 1, W or 1, C or 1]
        if self.average in ("all", "group"):
            splits = 1 if self.average == "all" else self.num_splits
            y = tf.reshape(y, [-1, height, width, splits, fmaps // splits])
            y = tf.reduce_mean(y, axis=[1, 2, 4])[:, tf.newaxis, tf.newaxis, :]
        elif self.average == "spatial":
            y = tf.reduce_mean(y, axis=[1, 2], keepdims=True)
        return tf.tile(y, [group, height // y.shape[1], width // y.shape[2], 1])

    def _statistic(self, y: tf.Tensor, axes: list[int]) -> tf.Tensor:
        if self.function == "Tmean":
            return tf.reduce_mean(y, axes, keepdims=True)
        if self.function == "Tsum":
            return tf.reduce_sum(y, axes, keepdims=True)
        mean = tf.reduce_mean(y, axes, keepdims=True)
        variance = tf.reduce_mean(tf.square(y - mean), axes, keepdims=True)
        return tf.sqrt(variance + (self.epsilon if self.function == "Tstdeps" else 0.0))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        fmaps = input_shape[-1]
        one_each = {"spatial": fmaps, "none": fmaps, "gpool": fmaps, "group": self.num_splits}
        return (*input_shape[:-1], fmaps + one_each.get(self.average, 1))

    def get_config(self) -> dict[str, Any]:
        names = ("function", "average", "num_splits")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="pgtf")
class MinibatchDiscrimination(keras.layers.Layer):
    """Appends the closeness of each sample to the others: [N, A] -> [N, A + kernels].

    Each kernel projects a sample to 5 dimensions and sums exp(-L1 distance) over the others.
    Salimans et al. 2016, Section 3.2, with weights normalized as in the original Theano release.
    """

    def __init__(self, kernels: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernels = kernels
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        initializer = initial.normal(INITIAL_STDDEV, self.seed)
        self.theta = self.add_weight(
            name="theta",
            shape=(input_shape[-1], self.kernels, DISCRIMINATION_DIMS),
            initializer=initializer,
        )
        self.log_scale = self.add_weight(
            name="log_scale", shape=(self.kernels, DISCRIMINATION_DIMS), initializer="zeros"
        )
        self.bias = self.add_weight(
            name="bias",
            shape=(self.kernels,),
            initializer=keras.initializers.Constant(INITIAL_BIAS),
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        distances = self._distances(x, tf.range(tf.shape(x)[0]))
        closeness = tf.reduce_sum(tf.exp(-distances), axis=1) + tf.convert_to_tensor(self.bias)
        return tf.concat([x, closeness], axis=1)

    def initialize(self, x: tf.Tensor) -> None:
        """Sets scales and biases so that the outputs for [N, A] samples are balanced; eager.

        The mean distance to the nearest neighbor becomes 2 in every kernel, the mean output 0.
        """
        x = tf.cast(x, self.compute_dtype)  # the layers before may compute in half precision
        chunks = np.array_split(np.arange(len(x)), -(-len(x) // _CHUNK))
        nearest = [tf.reduce_min(self._distances(x, chunk), axis=1) for chunk in chunks]
        half_mean = 0.5 * tf.reduce_mean(tf.concat(nearest, axis=0), axis=0)  # [kernels]
        self.log_scale.assign_sub(tf.math.log(half_mean)[:, tf.newaxis])
        sums = [tf.reduce_sum(tf.exp(-self._distances(x, chunk)), axis=1) for chunk in chunks]
        self.bias.assign(-tf.reduce_mean(tf.concat(sums, axis=0), axis=0))

    def _distances(self, x: tf.Tensor, rows: Any) -> tf.Tensor:
        """L1 distances from samples `rows` to all, 1e6 more to itself: -> [rows, N, kernels]."""
        theta = tf.convert_to_tensor(self.theta)
        scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        weight = theta * scale / tf.sqrt(tf.reduce_sum(tf.square(theta), axis=0))
        projected = tf.einsum("na,akd->nkd", x, weight)  # [N, kernels, 5]
        chosen = tf.gather(projected, rows)
        distances = tf.reduce_sum(tf.abs(chosen[:, tf.newaxis] - projected), axis=-1)
        same = tf.one_hot(rows, tf.shape(x)[0], SELF_DISTANCE, dtype=x.dtype)  # [rows, N]
        return distances + same[:, :, tf.newaxis]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (input_shape[0], input_shape[-1] + self.kernels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kernels": self.kernels, "seed": self.seed}
