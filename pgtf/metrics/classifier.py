"""A small convolutional network that reads the factors of an image, for mode coverage."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, TypedDict

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf import files
from pgtf import images as image_functions
from pgtf.foreign.arrays import read_npz
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.schema import Between, read_as
from pgtf.installation import spelled
from pgtf.metrics.modes import coverage

SIDE = 32  # pixels per side of the network's input
# Filters and padding of the convolutions; each second one is followed by pooling.
CONVOLUTIONS = (
    *((32, "same"), (32, "same"), (55, "same"), (55, "same"), (96, "valid"), (96, "same")),
)
PLANES = ("red", "green", "blue")
HELD_OUT = 10  # every tenth image measures the accuracy
MINIBATCH = 128
_FORMAT = "pgtf-classifier-1"


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Reads factors from images.

    A classifier of gray images with a single factor reads the three planes of an RGB image one by
    one: MNIST-1K counts modes in this way.
    """

    model: keras.Model  # [n, 32, 32, C] in [-1, 1] -> logits of all factors, one after the other
    factors: dict[str, list[str]]  # name -> values
    accuracy: dict[str, float]  # per factor, on the images held out
    sha256: str  # hash of its weights and factors

    @property
    def num_channels(self) -> int:
        return int(self.model.input_shape[3])

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raises ValueError unless the classifier can read images of shape (H, W, C)."""
        height, width, channels = shape
        if not (channels == self.num_channels or self._reads_planes(channels)):
            raise ValueError(
                f"the classifier reads images of {self.num_channels} channels. "
                f"Received: {channels} channels."
            )
        if height != width or (height % SIDE and SIDE % height):
            raise ValueError(
                f"the classifier reads square images of {SIDE} pixels, or a power of two more or "
                f"less. Received: {height}x{width}."
            )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n, H, W, C] -> number of each factor's value, int64 [n, factors or planes]."""
        if self._reads_planes(images.shape[3]):
            planes = [self._read(images[:, :, :, i : i + 1]) for i in range(len(PLANES))]
            return np.concatenate(planes, axis=1)
        return self._read(images)

    def coverage(self, values: np.ndarray) -> dict[str, int | float]:
        """Counts the modes in the result of a call: see `pgtf.metrics.modes.coverage`."""
        if values.shape[1] == len(self.factors):
            return coverage(values, {name: len(v) for name, v in self.factors.items()})
        (digits,) = self.factors.values()
        found = coverage(values, dict.fromkeys(PLANES, len(digits)))
        return {name: found[name] for name in ("modes", "kl")}

    def _reads_planes(self, channels: int) -> bool:
        return self.num_channels == 1 and channels == len(PLANES) and len(self.factors) == 1

    def _read(self, images: np.ndarray) -> np.ndarray:
        logits = self.model(resize(images), training=False).numpy()
        return np.stack([part.argmax(axis=1) for part in split(logits, self.factors)], axis=1)


def resize(images: np.ndarray) -> np.ndarray:
    """Takes box means or repeats pixels: uint8 [n, R, R, C] -> [n, 32, 32, C] in [-1, 1]."""
    x = image_functions.to_float(images)
    n, side, _, channels = x.shape
    if side < SIDE:
        return x.repeat(SIDE // side, axis=1).repeat(SIDE // side, axis=2)
    factor = side // SIDE
    means: np.ndarray = x.reshape(n, SIDE, factor, SIDE, factor, channels).mean(axis=(2, 4))
    return means


def resized(images: tf.Tensor) -> tf.Tensor:
    """Does `resize` for tensors [n, R, R, C] in [-1, 1], with gradients."""
    side = images.shape[1]
    if side < SIDE:
        return tf.repeat(tf.repeat(images, SIDE // side, axis=1), SIDE // side, axis=2)
    return tf.nn.avg_pool2d(images, side // SIDE, side // SIDE, "VALID")


def split(logits: np.ndarray, factors: Mapping[str, Sequence[str]]) -> list[np.ndarray]:
    """Splits logits by factor: [n, sum of sizes] -> list of [n, size]."""
    ends = np.cumsum([len(values) for values in factors.values()])
    return np.split(logits, ends[:-1], axis=1)


def weight_shapes(num_channels: int, num_logits: int) -> list[tuple[int, ...]]:
    """Shapes of the weights and biases of `build_model`, in Keras's order."""
    shapes: list[tuple[int, ...]] = []
    side, channels = SIDE, num_channels
    for i, (filters, padding) in enumerate(CONVOLUTIONS):
        shapes += [(3, 3, channels, filters), (filters,)]
        side, channels = side - 2 * (padding == "valid"), filters
        side //= 1 + i % 2
    return [*shapes, (side**2 * channels, num_logits), (num_logits,)]


def build_model(num_channels: int, num_logits: int, seed: int) -> keras.Model:
    """Builds the network of the paper's MNIST experiment, for any channels and classes. App. D.

    Deviation: images in [-1, 1], not in [0, 255].
    """
    init = [keras.initializers.HeNormal(seed + i) for i in range(7)]
    layers = [keras.Input((SIDE, SIDE, num_channels))]
    for i, (filters, padding) in enumerate(CONVOLUTIONS):
        layers.append(keras.layers.Conv2D(filters, 3, padding=padding, kernel_initializer=init[i]))
        layers.append(keras.layers.LeakyReLU(negative_slope=0.1))
        if i % 2:
            layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.Flatten(), keras.layers.Dense(num_logits, kernel_initializer=init[6])]
    return keras.Sequential(layers)


def train(
    read: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    factors: dict[str, list[str]],
    num_channels: int,
    *,
    epochs: int,
    seed: int = 0,
    progress: bool = False,
) -> Classifier:
    """Trains a classifier; every tenth image is held out to measure its accuracy.

    Args:
        read: (indices) -> uint8 [n, R, R, C].
        labels: one-hot codes of all factors, one after the other: [N, L].
        factors: {name: values}, together L values.
        num_channels: C.
        epochs: passes over the images.
        seed: seed of the weights and of the order.
        progress: show a progress bar.
    """
    if sum(map(len, factors.values())) != labels.shape[1]:
        raise ValueError(
            f"`factors` must name {labels.shape[1]} values, one per label column. "
            f"Received: {sum(map(len, factors.values()))}."
        )
    model = build_model(num_channels, labels.shape[1], seed)
    indices = np.arange(len(labels))
    held_out, rest = indices[::HELD_OUT], np.delete(indices, np.s_[::HELD_OUT])
    step = _make_step(model, factors, epochs * (len(rest) // MINIBATCH + 1))
    rng = np.random.RandomState(seed)
    for epoch in range(epochs):
        order = rng.permutation(rest)
        starts = range(0, len(order), MINIBATCH)
        for start in tqdm(starts, desc=f"epoch {epoch + 1}/{epochs}", disable=not progress):
            part = np.sort(order[start : start + MINIBATCH])
            step(tf.constant(resize(read(part))), tf.constant(labels[part], tf.float32))
    accuracy = _accuracy(model, factors, read, labels, held_out)
    return _finished(model, factors, accuracy)


def save_classifier(path: str | os.PathLike[str], classifier: Classifier) -> None:
    """Writes a classifier as one npz file, whole or not at all."""
    files.write_atomically(path, _pack(classifier))


def load_classifier(path: str | os.PathLike[str]) -> Classifier:
    """Reads a file of `save_classifier`; nothing in the file is executed.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a classifier.
    """
    try:
        arrays = read_npz(path)
        about = _read_about(arrays.pop("about", None))
        num_logits = sum(map(len, about["factors"].values()))
        # Compare them before Keras allocates a network of any size.
        _check_weights(arrays, weight_shapes(about["num_channels"], num_logits))
    except ValueError as error:
        what = str(error).removeprefix(f"{os.fspath(path)}: ").rstrip(".")
        raise ValueError(
            f"{path}: not a classifier ({what}). "
            f"{spelled('Train one with python -m metrics train_classifier.')}"
        ) from None
    model = build_model(about["num_channels"], num_logits, seed=0)
    model.set_weights([arrays[f"weight{i}"] for i in range(len(arrays))])
    return _finished(model, about["factors"], about["accuracy"])


class _About(TypedDict):
    """Facts about a classifier, beside its weights."""

    format: Literal["pgtf-classifier-1"]
    factors: dict[str, list[str]]
    accuracy: dict[str, float]
    num_channels: Annotated[int, Between(1, 1024)]


def _read_about(text: np.ndarray | None) -> _About:
    if text is None or text.dtype.kind != "U" or text.shape:
        raise ValueError("`about` is missing, or no text")
    found: _About = read_as(_About, parse_json(str(text), "about", max_bytes=SMALL_BYTES), "about")
    return found


def _check_weights(arrays: Mapping[str, np.ndarray], shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises ValueError unless the arrays are float32 weights of these shapes."""
    expected = {f"weight{i}": shape for i, shape in enumerate(shapes)}
    if arrays.keys() != expected.keys():
        raise ValueError(f"{len(shapes)} weights are needed, found {len(arrays)} arrays")
    for name, shape in expected.items():
        found = arrays[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(f"{name} must be float32 {shape}, found {found.dtype} {found.shape}")


def _make_step(
    model: keras.Model, factors: Mapping[str, Sequence[str]], num_steps: int
) -> Callable[[tf.Tensor, tf.Tensor], None]:
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, num_steps)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(model.trainable_variables)
    sizes = [len(values) for values in factors.values()]

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            pairs = zip(tf.split(labels, sizes, 1), tf.split(model(images), sizes, 1), strict=True)
            loss = tf.add_n(
                [tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(*p)) for p in pairs]
            )
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return step


def _accuracy(
    model: keras.Model,
    factors: Mapping[str, Sequence[str]],
    read: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    indices: np.ndarray,
) -> dict[str, float]:
    """Share of right answers per factor: {name: in [0, 1]}."""
    right = np.zeros(len(factors))
    for start in range(0, len(indices), MINIBATCH):
        part = indices[start : start + MINIBATCH]
        logits = model(resize(read(part)), training=False).numpy()
        pairs = zip(split(logits, factors), split(labels[part], factors), strict=True)
        right += [np.sum(a.argmax(axis=1) == b.argmax(axis=1)) for a, b in pairs]
    return dict(zip(factors, map(float, right / len(indices)), strict=True))


def _finished(
    model: keras.Model, factors: dict[str, list[str]], accuracy: dict[str, float]
) -> Classifier:
    digest = hashlib.sha256(json.dumps(factors).encode())
    for array in model.get_weights():
        digest.update(array.tobytes())
    return Classifier(model, factors, accuracy, digest.hexdigest())


def _pack(classifier: Classifier) -> bytes:
    arrays = classifier.model.get_weights()
    about = {
        "format": _FORMAT,
        "factors": classifier.factors,
        "accuracy": classifier.accuracy,
        "num_channels": classifier.num_channels,
        "num_weights": len(arrays),
    }
    buffer = io.BytesIO()
    named = {f"weight{i}": array for i, array in enumerate(arrays)}
    np.savez(buffer, about=np.array(json.dumps(about)), **named)
    return buffer.getvalue()
