"""Normalizations that the paper compares its own with: Table 1, rows a-c, and Appendix E."""

from typing import Any

import keras
import tensorflow as tf

from pgtf.networks.layers import SameShape

EPSILON = 1e-4  # added to the variance; original Theano release


@keras.saving.register_keras_serializable(package="pgtf")
class BatchNorm(SameShape):
    """Normalizes each channel over the current minibatch: [N, ..., C] -> same.

    There are no running averages. The original Theano release kept them but never used them, so its
    generators depend on their minibatch in training and evaluation alike. Ioffe & Szegedy 2015.
    """

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = _standardize(x, axes=list(range(len(x.shape) - 1)))
        return x * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(self.beta)


@keras.saving.register_keras_serializable(package="pgtf")
class LayerNorm(SameShape):
    """Normalizes each sample, with one gain and a bias per channel: [N, ..., C] -> same.

    Ba et al. 2016, except for the gain, which is a scalar in the original Theano release.
    """

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight(name="gain", shape=(), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = _standardize(x, axes=list(range(1, len(x.shape))))
        return x * tf.convert_to_tensor(self.gain) + tf.convert_to_tensor(self.bias)


def _standardize(x: tf.Tensor, axes: list[int]) -> tf.Tensor:
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + EPSILON)
