"""A classifier judges what turns along directions do to generated images."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from pgtf.export.directions import edit
from pgtf.export.source import Source
from pgtf.networks import latents_from_seeds
from pgtf.publish.direction_search import unit

BATCH = 50
NUM_RANDOM = 5  # random directions


@dataclasses.dataclass(frozen=True)
class Judge:
    """A classifier that reads factors of images."""

    logits: Callable[[tf.Tensor], tf.Tensor]  # [N, H, W, C] in [-1, 1] -> [N, values of all]
    factors: Mapping[str, Sequence[str]]  # name -> values

    def split(self, logits: tf.Tensor) -> list[tf.Tensor]:
        """Splits logits by factor: [N, values of all] -> [N, values] each."""
        parts: list[tf.Tensor] = tf.split(logits, [len(x) for x in self.factors.values()], axis=1)
        return parts


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a factor, which a direction shall give images."""

    factor: str
    index: int


@dataclasses.dataclass(frozen=True)
class Moved:
    """Effects of a turn on images."""

    asked: float  # share of images that have the value after it
    others: Mapping[str, float]  # share of images of which each other factor has changed


class Reader:
    """Generates images and lets a judge read them, in traced functions."""

    def __init__(self, source: Source, judge: Judge) -> None:
        self.source, self.judge, self._Gs = source, judge, source.Gs
        self._model, self._alpha = source.Gs.model_at(source.Gs.lod)
        self.read = tf.function(self.logits, reduce_retracing=True)

    def logits(self, latents: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Computes logits: [N, L] -> [N, values of all factors]."""
        fakes = self._model(self._Gs.inputs(latents, labels, self._alpha))
        return self.judge.logits(tf.clip_by_value(fakes, -1, 1))


class Trial:
    """Images of some seeds, which are turned and read."""

    def __init__(self, reader: Reader, seeds: Sequence[int] | np.ndarray) -> None:
        self.reader, self._judge = reader, reader.judge
        self.labels = reader.source.labels(None, seeds)
        size = reader.source.Gs.latent_size
        self.latents = latents_from_seeds(np.asarray(seeds), size).numpy()

    @functools.cached_property
    def answers(self) -> list[np.ndarray]:
        """Logits of the images of the seeds: [N, values] of each factor."""
        return self._read(self.latents)

    def values(self, latents: np.ndarray) -> dict[str, np.ndarray]:
        """Reads the images of latents: -> number of the value [N] by factor."""
        return self._values(self._read(latents))

    def _read(self, latents: np.ndarray) -> list[np.ndarray]:
        read, parts = self.reader.read, []
        for begin in range(0, len(latents), BATCH):
            rows = slice(begin, begin + BATCH)
            labels = None if self.labels is None else self.labels[rows]
            parts.append(read(tf.constant(latents[rows]), labels).numpy())
        return [part.numpy() for part in self._judge.split(np.concatenate(parts))]

    def _values(self, answers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        numbers = [np.argmax(part, axis=1) for part in answers]
        return dict(zip(self._judge.factors, numbers, strict=True))

    @functools.cached_property
    def _before(self) -> dict[str, np.ndarray]:
        return self._values(self.answers)

    def moved(self, vector: np.ndarray, angle: float, value: Value) -> Moved:
        """Turns all images and reads them again."""
        after = self._turned(vector, angle)
        others = {name: x for name, x in self._changed(after).items() if name != value.factor}
        return Moved(float(np.mean(after[value.factor] == value.index)), others)

    def changed_at_random(self, angle: float) -> dict[str, float]:
        """Computes the share of images of which random turns change each factor, on average.

        It tells how much of `Moved.others` is any turn, and a judge who is unsure.
        """
        vectors = np.random.default_rng(0).normal(size=[NUM_RANDOM, self.latents.shape[1]])
        found = [self.changed(x, angle) for x in unit(vectors).astype(np.float32)]
        return {name: float(np.mean([x[name] for x in found])) for name in self._judge.factors}

    def changed(self, vector: np.ndarray, angle: float) -> dict[str, float]:
        """Turns all images. Returns the share of them that changed in each factor."""
        return self._changed(self._turned(vector, angle))

    def _turned(self, vector: np.ndarray, angle: float) -> dict[str, np.ndarray]:
        angles = np.full([len(self.latents), 1], angle, np.float32)
        return self.values(edit(self.latents, vector[np.newaxis], angles))

    def _changed(self, after: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {name: float(np.mean(x != self._before[name])) for name, x in after.items()}
