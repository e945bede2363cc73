"""A small convolutional network that reads labels of any kind from images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pgtf import losses
from pgtf.images import DRANGE, UINT8_DRANGE, adjust_drange
from pgtf.label_groups import LabelGroup

LONGEST_SIDE = 32  # pixels that the network sees at most; larger images are averaged
FILTERS = (32, 64, 96)  # of its convolutions; each is followed by pooling while there is room
MINIBATCH = 64
EPOCHS, FEWEST_STEPS, MOST_STEPS = 12, 400, 4000
LEARNING_RATE = 2e-3  # Adam's, falling to 0 along a cosine


def shrunk(images: np.ndarray) -> np.ndarray:
    """Averages boxes to at most 32 pixels: [n, H, W, C] in 0 ... 255 -> float32 in [-1, 1]."""
    n, height, width, channels = images.shape
    factor = 1
    while max(height, width) // factor > LONGEST_SIDE and not (height | width) // factor % 2:
        factor *= 2
    x = images.astype(np.float32).reshape(
        n, height // factor, factor, width // factor, factor, channels
    )
    found: np.ndarray = adjust_drange(x.mean(axis=(2, 4)), UINT8_DRANGE, DRANGE)
    return found


class LabelReader:
    """Reads labels of the kinds that it was trained on.

    Args:
        images: float32 [N, h, w, C] of `shrunk`.
        labels: those that networks see: [N, L].
        groups: kinds of the columns.
        seed: seed of the weights and of the order.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, groups: Sequence[LabelGroup], seed: int
    ) -> None:
        self._model = _build(images.shape[1:], labels.shape[1], seed)
        num_steps = min(max(EPOCHS * len(images) // MINIBATCH, FEWEST_STEPS), MOST_STEPS)
        schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, num_steps)
        optimizer = keras.optimizers.Adam(schedule)
        optimizer.build(self._model.trainable_variables)

        @tf.function(autograph=False)
        def step(x: tf.Tensor, y: tf.Tensor) -> None:
            with tf.GradientTape() as tape:
                logits = self._model(x, training=True)
                loss = tf.reduce_mean(losses.label_penalty(logits, y, groups))
            variables = self._model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

        rng = np.random.RandomState(seed)
        size = min(MINIBATCH, len(images))
        for _ in range(num_steps):
            part = rng.randint(len(images), size=size)
            step(tf.constant(images[part]), tf.constant(labels[part]))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Reads labels: float32 [n, h, w, C] -> logits [n, L]."""
        parts = [images[i : i + MINIBATCH] for i in range(0, len(images), MINIBATCH)]
        return np.concatenate([self._model(part, training=False).numpy() for part in parts])


def _build(shape: Sequence[int], num_logits: int, seed: int) -> Any:
    layers: list[Any] = [keras.Input(tuple(shape))]
    side = min(shape[:2])
    for i, filters in enumerate(FILTERS):
        start = keras.initializers.HeNormal(seed + i)
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=start))
        layers.append(keras.layers.LeakyReLU(negative_slope=0.1))
        if side >= 4:  # Places matter, so the last features keep a few of them.
            layers.append(keras.layers.MaxPooling2D())
            side //= 2
    start = keras.initializers.GlorotUniform(seed + len(FILTERS))
    layers += [keras.layers.Flatten(), keras.layers.Dense(num_logits, kernel_initializer=start)]
    return keras.Sequential(layers)
