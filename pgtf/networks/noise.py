"""Multiplicative noise in D, which slows it down when it gets too good. Paper, Appendix B."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from pgtf.networks.layers import SameShape

_Normal = Callable[[int, int], tf.Tensor]


class NoiseSource:
    """Gives all noise layers of a D their strength and random values; silent outside `active`.

    The caller provides the random values, so that they can be a pure function of the training's
    position.
    """

    def __init__(self) -> None:
        self.strength: tf.Tensor | None = None
        self._normal: _Normal | None = None
        self._numbers: Iterator[int] = itertools.count()

    @contextlib.contextmanager
    def active(self, normal: _Normal, strength: tf.Tensor) -> Iterator[None]:
        """Context manager that enables the noise layers.

        Args:
            normal: function (number, num_fmaps) -> [N, num_fmaps] standard normal values; `number`
                counts the uses of noise layers since entering: 0, 1, ...
            strength: [] float32, at least 0.
        """
        self.strength, self._normal, self._numbers = strength, normal, itertools.count()
        try:
            yield
        finally:
            self.strength, self._normal = None, None

    @property
    def is_active(self) -> bool:
        """True inside `active`."""
        return self._normal is not None

    def normal(self, num_fmaps: int) -> tf.Tensor:
        """Returns fresh standard normal values: -> [N, num_fmaps]. Only inside `active`."""
        if self._normal is None:
            raise RuntimeError("there are random values inside `active` only.")
        return self._normal(next(self._numbers), num_fmaps)


class MultiplicativeNoise(SameShape):
    """Scales each feature map at random: [N, H, W, C] -> same. Paper, Appendix B.

    Factors are 1 + strength * sqrt(C) * N(0, 1), one per sample and channel, constant over space.
    """

    def __init__(self, source: NoiseSource, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._source = source

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if not self._source.is_active:
            return x
        num_fmaps = x.shape[-1]
        deviation = self._source.strength * num_fmaps**0.5
        factors = 1.0 + deviation * self._source.normal(num_fmaps)  # [N, C]
        return x * tf.cast(factors, x.dtype)[:, tf.newaxis, tf.newaxis, :]
