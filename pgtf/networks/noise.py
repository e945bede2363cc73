"""Multiplicative noise in D, which slows it down when it gets too good. Paper, Appendix B."""

import contextlib
import itertools

import keras
import tensorflow as tf


class NoiseSource:
    """Gives all noise layers of a D their strength and their draws; silent outside `drawing`.

    The layers draw through a function of the caller, so that what is drawn can be a pure function
    of the training's position.
    """

    def __init__(self):
        self.strength, self._draw, self._numbers = None, None, None

    @contextlib.contextmanager
    def drawing(self, draw, strength):
        """While it is entered, D is noisy.

        Args:
            draw: function (number, num_fmaps) -> [N, num_fmaps] standard normal values; `number`
                counts the uses of noise layers since entering: 0, 1, ...
            strength: [] float32, at least 0.
        """
        self.strength, self._draw, self._numbers = strength, draw, itertools.count()
        try:
            yield
        finally:
            self.strength, self._draw, self._numbers = None, None, None

    @property
    def is_active(self):
        return self._draw is not None

    def normal(self, num_fmaps):
        """Fresh standard normal values: -> [N, num_fmaps]."""
        return self._draw(next(self._numbers), num_fmaps)


class MultiplicativeNoise(keras.layers.Layer):
    """Scales each feature map at random: [N, H, W, C] -> same. Paper, Appendix B.

    Factors are 1 + strength * sqrt(C) * N(0, 1), one a sample and channel, constant over space.
    """

    def __init__(self, source, **kwargs):
        super().__init__(**kwargs)
        self._source = source

    def call(self, x):
        if not self._source.is_active:
            return x
        num_fmaps = x.shape[-1]
        deviation = self._source.strength * num_fmaps**0.5
        factors = 1.0 + deviation * self._source.normal(num_fmaps)  # [N, C]
        return x * tf.cast(factors, x.dtype)[:, tf.newaxis, tf.newaxis, :]
