"""The two restoration networks and the discriminator; images are NHWC in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pgtf.restoration.config import SCALES

FEATURES = {"jpeg": 24, "sr": 48}
RESIDUAL_BLOCKS = 5
SLOPE = 0.2  # negative slope of the leaky ReLUs
# Input pixels to each side that an output pixel depends on, rounded up to a multiple of the stride;
# tests/restoration/test_networks.py measures them.
MARGINS = {"jpeg": 32, "sr": 16}
STRIDES = {"jpeg": 4, "sr": 1}  # width and height of the input must be multiples


@keras.saving.register_keras_serializable(package="pgtf")
class Enlarge(keras.layers.Layer):
    """Bicubic interpolation: [N, H, W, C] -> [N, H * scale, W * scale, C]."""

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: tf.Tensor) -> tf.Tensor:
        size = tf.shape(x)[1:3] * self.scale
        return tf.image.resize(x, size, method="bicubic")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable(package="pgtf")
class DepthToSpace(keras.layers.Layer):
    """Moves features to pixels: [N, H, W, C * s * s] -> [N, H * s, W * s, C]. Shi et al. 2016."""

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(x, self.scale)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


def build(task: str, seed: int) -> keras.Model:
    """Builds a task's network for any image size: [N, H, W, 3] -> [N, H * scale, W * scale, 3]."""
    return {"jpeg": build_autoencoder, "sr": build_super_resolution}[task](seed)


def build_autoencoder(seed: int) -> keras.Model:
    """Builds a convolutional autoencoder with symmetric skips that predicts the correction.

    Each decoder layer is added to the encoder layer of the same resolution, as in Mao, Shen and
    Yang 2016; the two strides keep it affordable on a CPU. H and W are multiples of 4.
    """
    width = FEATURES["jpeg"]
    conv = _layers(keras.layers.Conv2D, seed)
    up = _layers(keras.layers.Conv2DTranspose, seed + 1000)
    images = keras.Input((None, None, 3), name="images")
    full = conv(width, 3)(conv(width, 3)(images))
    half = conv(2 * width, 3)(conv(2 * width, 3, strides=2)(full))
    x = conv(4 * width, 3, strides=2)(half)  # [N, H / 4, W / 4, 4 * width]
    x = conv(4 * width, 3)(conv(4 * width, 3)(x))
    x = conv(2 * width, 3)(keras.layers.Add()([up(2 * width, 4, strides=2)(x), half]))
    x = conv(width, 3)(keras.layers.Add()([up(width, 4, strides=2)(x), full]))
    return keras.Model(images, keras.layers.Add()([images, _change(3, seed)(x)]), name="jpeg")


def build_super_resolution(seed: int) -> keras.Model:
    """Builds residual blocks whose features become pixels, added to a bicubic enlargement.

    This is the generator of Ledig et al. 2017 without batch normalization (Lim et al. 2017), with
    all convolutions at the low resolution (Shi et al. 2016).
    """
    width, scale = FEATURES["sr"], SCALES["sr"]
    conv = _layers(keras.layers.Conv2D, seed)
    images = keras.Input((None, None, 3), name="images")
    x = first = conv(width, 3)(images)
    for _ in range(RESIDUAL_BLOCKS):
        x = keras.layers.Add()([x, conv(width, 3, activation=None)(conv(width, 3)(x))])
    x = keras.layers.Add()([first, x])
    change = DepthToSpace(scale)(_change(3 * scale**2, seed)(x))
    return keras.Model(images, keras.layers.Add()([Enlarge(scale)(images), change]), name="sr")


def build_discriminator(seed: int) -> keras.Model:
    """Builds D, a score per patch: [N, H, W, 3] -> [N, h, w, 1]. Isola et al. 2017."""
    conv = _layers(keras.layers.Conv2D, seed)
    images = keras.Input((None, None, 3), name="images")
    x = conv(24, 3)(images)
    for width in (24, 48, 96):
        x = conv(width, 4, strides=2)(x)
    return keras.Model(images, conv(1, 3, activation=None)(x), name="D")


def _layers(kind: type[keras.layers.Layer], seed: int) -> Callable[..., keras.layers.Layer]:
    """Returns a function that makes layers of a kind, each with its own seed."""
    seeds = iter(range(seed, seed + 1000))

    def make(
        filters: int, size: int, strides: int = 1, activation: str | None = "leaky"
    ) -> keras.layers.Layer:
        return kind(
            filters,
            size,
            strides=strides,
            padding="same",
            activation=keras.layers.LeakyReLU(negative_slope=SLOPE) if activation else None,
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        )

    return make


def _change(filters: int, seed: int) -> keras.layers.Conv2D:
    """Makes the last convolution, which begins near 0: training starts at the degraded image."""
    initializer = keras.initializers.RandomNormal(stddev=1e-3, seed=seed + 2000)
    return keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer)
