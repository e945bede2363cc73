"""Random numbers of one augmentation by name, so that each operation has numbers of its own."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Draws:
    """Uniform and normal numbers of N images; the names of their columns are the class's."""

    uniform_names: ClassVar[tuple[str, ...]] = ()
    normal_names: ClassVar[tuple[str, ...]] = ()

    uniforms: tf.Tensor  # [N, len(uniform_names)] in [0, 1)
    normals: tf.Tensor  # [N, len(normal_names)]

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Uniform values in [low, high): -> [N]."""
        return low + (high - low) * self.uniforms[:, self.uniform_names.index(name)]

    def normal(self, name: str, deviation: float = 1.0) -> tf.Tensor:
        """Normal values of mean 0: -> [N]."""
        return deviation * self.normals[:, self.normal_names.index(name)]
