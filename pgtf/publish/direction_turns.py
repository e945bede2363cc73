"""Turns that give images a value of a classifier and leave its other answers alone.

The normal of a boundary moves other factors too. Gradient descent through the generator and the
classifier turns it away from them, as Jahanian et al. 2020 learn a walk through latent space from
the images that it shall reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf.export.directions import turned
from pgtf.publish.direction_judge import Moved, Trial, Value
from pgtf.publish.direction_search import unit

WANTED = 0.95  # share of images that a turn must give the value; at least 90% of others have it
ANGLES = tuple(i / 50 for i in range(5, 56))  # radians: 0.1 to 1.1
NUM_STEPS, MINIBATCH = 120, 32
START = 0.4  # radians
STEP = 0.06  # largest step of Adam in radians, falling to 0 along a cosine
GROWTH = 1.0  # change of the logarithm of the value's weight per step and missing share
MAX_WEIGHT = 100.0  # of the value, whose inverse is the least; a value may be out of reach


@dataclasses.dataclass(frozen=True)
class Turn:
    """A direction with the angle that was chosen for it."""

    vector: np.ndarray  # [L] of length 1
    angle: float


def choose(
    normals: Mapping[str, np.ndarray], values: Mapping[str, Value], trial: Trial, tried: Trial
) -> dict[str, Turn]:
    """Chooses direction and angle for each value.

    Args:
        normals: normals of the boundaries by name.
        values: the values that they stand for.
        trial: images to refine the normals with.
        tried: other images, to choose the smallest angle with.
    """
    descent, found = Descent(trial), {}
    with tqdm(total=len(normals) * NUM_STEPS, unit="step", disable=None) as bar:
        for name, normal in normals.items():
            bar.set_description(name)
            vector = descent.refine(normal, values[name], bar.update)
            found[name] = Turn(vector, smallest_angle(tried, vector, values[name])[0])
    return found


class Descent:
    """Refines directions by gradient descent on the images of a trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._reader = trial, trial.reader
        self._traced = tf.function(self._gradient, reduce_retracing=True)

    def refine(
        self, normal: np.ndarray, value: Value, report: Callable[[], object] = lambda: None
    ) -> np.ndarray:
        """Turns a normal away from the other factors: [L] -> [L] of length 1.

        It minimises the cross-entropy between the other factors' answers before and after the turn,
        among the turns that give WANTED of the images the value: the weight of that value grows
        while fewer have it, and shrinks while more have it.

        Args:
            normal: direction to begin with.
            value: value that the turn shall give.
            report: is called after each step.
        """
        judge, trial = self._reader.judge, self._trial
        asked = list(judge.factors).index(value.factor)
        targets = [tf.nn.softmax(part).numpy() for part in trial.answers]
        targets[asked] = np.eye(targets[asked].shape[1], dtype=np.float32)[[value.index]]
        targets[asked] = targets[asked].repeat(len(trial.latents), axis=0)
        target, log_weight = np.concatenate(targets, axis=1), 0.0
        # The variable is the direction times the angle, so that the descent finds both.
        steer = tf.Variable(START * unit(normal[np.newaxis])[0].astype(np.float32))
        rate = STEP / np.sqrt(len(normal))
        optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(rate, NUM_STEPS), beta_2=0.99
        )
        optimizer.build([steer])
        rng = np.random.default_rng(0)
        for _ in range(NUM_STEPS):
            rows = rng.integers(len(trial.latents), size=MINIBATCH)
            weights = np.ones(len(targets), np.float32)
            weights[asked] = np.exp(log_weight)
            labels = None if trial.labels is None else trial.labels[rows]
            arrays = map(tf.constant, (trial.latents[rows], target[rows], weights))
            gradient, logits = self._traced(steer.value(), labels, *arrays)
            optimizer.apply([gradient])
            length = tf.norm(steer)
            steer.assign(steer * tf.clip_by_value(length, ANGLES[0], ANGLES[-1]) / length)
            has_it = np.argmax(judge.split(logits)[asked], axis=1) == value.index
            log_weight += GROWTH * (WANTED - float(np.mean(has_it)))
            log_weight = float(np.clip(log_weight, -np.log(MAX_WEIGHT), np.log(MAX_WEIGHT)))
            report()
        return unit(steer.numpy()[np.newaxis])[0]

    def _gradient(
        self,
        steer: tf.Tensor,
        labels: tf.Tensor | None,
        latents: tf.Tensor,
        targets: tf.Tensor,
        weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the gradient [L] of the loss, and the logits [N, values] after the turn."""
        split = self._reader.judge.split
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(steer)
            angle = tf.norm(steer)
            angles = tf.fill([tf.shape(latents)[0], 1], angle)
            logits = self._reader.logits(turned(latents, steer[tf.newaxis] / angle, angles), labels)
            losses = [
                tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, found))
                for wanted, found in zip(split(targets), split(logits), strict=True)
            ]
            loss = tf.reduce_sum(weights * tf.stack(losses))
        return tape.gradient(loss, steer), logits


def smallest_angle(trial: Trial, vector: np.ndarray, value: Value) -> tuple[float, Moved]:
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
