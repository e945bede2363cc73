"""Normalizations that the paper compares its own with: Table 1, rows a-c, and Appendix E."""

import keras
import tensorflow as tf

EPSILON = 1e-4  # added to the variance; original Theano release


@keras.saving.register_keras_serializable(package="pgtf")
class BatchNorm(keras.layers.Layer):
    """Normalizes each channel over the minibatch, always over the one at hand: [N, ..., C] -> same.

    There are no running averages: the original Theano release kept them but never used them, so
    that its generators depend on their minibatch in training and evaluation alike. Ioffe & Szegedy
    2015.
    """

    def build(self, input_shape):
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x):
        x = _standardized(x, axes=list(range(len(x.shape) - 1)))
        return x * tf.convert_to_tensor(self.gamma) + tf.convert_to_tensor(self.beta)


@keras.saving.register_keras_serializable(package="pgtf")
class LayerNorm(keras.layers.Layer):
    """Normalizes each sample, with one gain for all and a bias a channel: [N, ..., C] -> same.

    Ba et al. 2016, but for the gain, which is a scalar in the original Theano release.
    """

    def build(self, input_shape):
        self.gain = self.add_weight(name="gain", shape=(), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x):
        x = _standardized(x, axes=list(range(1, len(x.shape))))
        return x * tf.convert_to_tensor(self.gain) + tf.convert_to_tensor(self.bias)


def _standardized(x, axes):
    mean = tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), axes, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + EPSILON)
