"""Boundaries of the values that a classifier reads, with the turns that reach them.

A normal of a boundary moves other factors too. A classifier tells how much, so each direction is a
compromise that was tried: as little of the latents to which the other factors are sensitive, and as
small an angle, as still gives most images the value.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf.export.directions import edit
from pgtf.export.source import Source
from pgtf.networks import latents_from_seeds
from pgtf.publish.direction_search import unit

BATCH = 50
NUM_RANDOM = 5  # random directions
WANTED = 0.93  # share of the tried images that a turn must give the value; 90% of others have it
ANGLES = (*(i / 20 for i in range(2, 13)), 0.7, 0.8, 0.9, 1.0, 1.1)  # radians
# Smaller values avoid more of what other factors are sensitive to; infinity is the normal itself.
CAUTIONS = (np.inf, 3.0, 1.0, 0.3, 0.1)


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


@dataclasses.dataclass(frozen=True)
class Turn:
    """A direction with the angle that was chosen for it."""

    vector: np.ndarray  # [L] of length 1
    angle: float


class Reader:
    """Generates images and lets a judge read them, in traced functions."""

    def __init__(self, source: Source, judge: Judge) -> None:
        self.source, self.judge, self._Gs = source, judge, source.Gs
        self._model, self._alpha = source.Gs.model_at(source.Gs.lod)
        self.read = tf.function(self._read, reduce_retracing=True)
        self.slopes = tf.function(self._slopes, reduce_retracing=True)

    def _read(self, latents: tf.Tensor, labels: np.ndarray | None) -> tf.Tensor:
        """Computes logits: [N, L] -> [N, values of all factors]."""
        fakes = self._model(self._Gs.inputs(latents, labels, self._alpha))
        return self.judge.logits(tf.clip_by_value(fakes, -1, 1))

    def _slopes(self, latents: tf.Tensor, labels: np.ndarray | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes margins between the two likeliest values, [N, factors], and their gradients."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(latents)
            parts = self.judge.split(self._read(latents, labels))
            best = [tf.math.top_k(part, 2).values for part in parts]
            margins = [x[:, 0] - x[:, 1] for x in best]
        slopes = [tape.gradient(x, latents) for x in margins]
        return tf.stack(slopes, axis=1), tf.stack(margins, axis=1)


class Trial:
    """Images of some seeds, which are turned and read."""

    def __init__(self, reader: Reader, seeds: Sequence[int] | np.ndarray) -> None:
        self._reader, self._judge = reader, reader.judge
        self._labels = reader.source.labels(None, seeds)
        size = reader.source.Gs.latent_size
        self.latents = latents_from_seeds(np.asarray(seeds), size).numpy()

    def logits(self, latents: np.ndarray | None = None) -> list[np.ndarray]:
        """Reads the images of latents, by default of the seeds: [N, values] of each factor."""
        latents = self.latents if latents is None else latents
        read = self._reader.read
        parts = [read(tf.constant(latents[rows]), x).numpy() for rows, x in self._batches()]
        return [part.numpy() for part in self._judge.split(np.concatenate(parts))]

    def values(self, latents: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Reads the images of latents: -> number of the value [N] by factor."""
        numbers = [np.argmax(part, axis=1) for part in self.logits(latents)]
        return dict(zip(self._judge.factors, numbers, strict=True))

    @functools.cached_property
    def _before(self) -> dict[str, np.ndarray]:
        return self.values()

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

    def sensitivities(self) -> dict[str, np.ndarray]:
        """Computes the latent directions that change each factor: -> [L, L] by factor.

        They are second moments of the gradient of the margin between the two likeliest values, in
        units of that margin: a value changes where a small step closes it.
        """
        rows = (unit(self.latents) * np.sqrt(self.latents.shape[1])).astype(np.float32)
        pairs = [self._reader.slopes(tf.constant(rows[x]), y) for x, y in self._batches()]
        slopes, margins = (np.concatenate(x).astype(np.float64) for x in zip(*pairs, strict=True))
        found = {}
        for i, name in enumerate(self._judge.factors):
            size = np.square(margins[:, i])
            weights = 1 / np.maximum(size + 0.1 * np.median(size), 1e-12)
            moment = np.einsum("n,ni,nj->ij", weights, slopes[:, i], slopes[:, i])
            found[name] = moment / max(np.trace(moment), 1e-12)
        return found

    def _batches(self) -> list[tuple[slice, np.ndarray | None]]:
        rows = [slice(i, i + BATCH) for i in range(0, len(self.latents), BATCH)]
        return [(x, None if self._labels is None else self._labels[x]) for x in rows]


def choose(
    normals: Mapping[str, np.ndarray],
    values: Mapping[str, Value],
    sensitivities: Mapping[str, np.ndarray],
    trial: Trial,
) -> dict[str, Turn]:
    """Chooses direction and angle for each value, by trying them.

    Of those that give most images the value, the one is chosen that changes the other factors
    least, on average; if there is none, the one that gives it to most images.

    Args:
        normals: normals of the boundaries by name.
        values: the values that they stand for.
        sensitivities: result of `Trial.sensitivities`, of other images.
        trial: images to try them on, other ones again.
    """
    found = {}
    for name, normal in tqdm(normals.items(), unit="direction", disable=None):
        best: tuple[tuple[bool, float], Turn] | None = None
        for caution in CAUTIONS:
            others = [x for factor, x in sensitivities.items() if factor != values[name].factor]
            vector = cautious(normal, others, caution)
            angle, moved = _smallest_angle(trial, vector, values[name])
            is_enough = moved.asked >= WANTED
            changed = float(np.mean(list(moved.others.values()))) if moved.others else 0.0
            rank = is_enough, -changed if is_enough else moved.asked
            if best is None or rank > best[0]:
                best = rank, Turn(vector, angle)
        if best is not None:
            found[name] = best[1]
    return found


def cautious(normal: np.ndarray, others: Sequence[np.ndarray], caution: float) -> np.ndarray:
    """Turns a normal away from what others are sensitive to: [L], [L, L] each -> [L] of length 1.

    It maximises the step along the normal for a given change of the others, to which a change of
    `caution` in every direction alike is added.
    """
    if others and np.isfinite(caution):
        total = np.mean(others, axis=0) * len(normal)
        normal = np.linalg.solve(total + caution * np.eye(len(normal)), normal)
    return unit(normal[np.newaxis])[0].astype(np.float32)


def _smallest_angle(trial: Trial, vector: np.ndarray, value: Value) -> tuple[float, Moved]:
    """Finds the smallest of ANGLES that gives enough images the value, else the best one tried."""
    tried: dict[float, Moved] = {}
    low, high = 0, len(ANGLES)
    while low < high:  # A larger angle gives it to more images, but for the very largest.
        middle = (low + high) // 2
        moved = tried[ANGLES[middle]] = trial.moved(vector, ANGLES[middle], value)
        low, high = (low, middle) if moved.asked >= WANTED else (middle + 1, high)
    if low < len(ANGLES):
        return ANGLES[low], tried[ANGLES[low]]
    angle = max(tried, key=lambda x: tried[x].asked)
    return angle, tried[angle]
