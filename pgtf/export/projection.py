"""Finds the latent vector whose image is closest to a given one."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pgtf import files, images, ops
from pgtf.depth import EIGHT_BITS, Depth
from pgtf.export import film, recipe, samples
from pgtf.export.labels import default_rows
from pgtf.label_groups import LabelGroup, one_class, restored
from pgtf.marks import COMPOSITE
from pgtf.networks import Generator

NUM_CANDIDATES = 512  # random latents; the search improves the best of them
NUM_STARTS = 8
MINIBATCH = 16
LEARNING_RATE = 0.1  # Adam's, falling to 0 along a cosine
COARSEST = 4  # side of the last scale, pixels
EVERY = 5  # steps between two frames of the film
FILM_FPS = 15
MIN_FILM_SIDE = 256  # pixels; films of smaller images are enlarged


@dataclasses.dataclass(frozen=True)
class Projection:
    """The result of `project`."""

    latents: np.ndarray  # [latent_size] float32, of unit mean square
    label: np.ndarray | None  # [label_size], None for a network without labels
    image: np.ndarray  # [H, W, C] float32 in [-1, 1]
    loss: float
    history: list[np.ndarray]  # the best image so far, every few steps, as a picture of uint8

    def levels_off(self, target: np.ndarray) -> float:
        """Computes the root mean square difference of the pixels, in gray levels of 255."""
        return 127.5 * float(np.sqrt(np.mean(np.square(self.image - target))))


def multi_scale_loss(fakes: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Averages the mean square difference over halved resolutions: 2 x [N, R, R, C] -> [N].

    The fine scales see edges; the coarse scales guide the search while edges do not overlap yet.
    """
    difference, losses = fakes - target, []
    while True:
        losses.append(tf.reduce_mean(tf.square(difference), axis=[1, 2, 3]))
        if min(difference.shape[1:3]) < 2 * COARSEST:
            return tf.add_n(losses) / len(losses)
        difference = tf.nn.avg_pool2d(difference, 2, 2, "VALID")


def project(
    Gs: Generator,
    target: np.ndarray,
    *,
    label: np.ndarray | None = None,
    num_steps: int = 300,
    seed: int = 0,
    groups: Sequence[LabelGroup] | None = None,
    depth: Depth = EIGHT_BITS,
) -> Projection:
    """Searches the latents of an image with Adam, from the best of many random ones.

    Args:
        Gs: generator; used at its own lod.
        target: [H, W, C] in [-1, 1], at the size of that lod.
        label: [label_size]; None lets the search choose among the classes.
        num_steps: number of Adam steps.
        seed: random seed for the first latents.
        groups: kinds of the label columns; None = one class.
        depth: type and range of the images, for the pictures.
    """
    groups = one_class(Gs.config.label_size) if groups is None else groups
    search = Search(Gs)
    latents, labels = _best_candidates(search, target, label, seed, groups)
    best: Any = (np.inf, None, None)  # loss, (latents, label), image
    history = []
    states = search.descend(latents, labels, target, num_steps)
    for step, (losses, fakes, z) in enumerate(
        tqdm(states, total=num_steps + 1, unit="step", disable=None)
    ):
        i = int(np.argmin(losses))
        if losses[i] < best[0]:
            best = float(losses[i]), (z[i], _row(labels, i)), fakes[i].numpy()
        if step % EVERY == 0:
            history.append(depth.shown(best[2]))
    loss, (latents, label), image = best
    return Projection(latents, label, image, loss, history)


class Search:
    """Computes the loss of latents and its gradient in one traced function.

    A target is one image for all latents, [H, W, C], or one for each, [N, H, W, C].
    """

    def __init__(self, Gs: Generator) -> None:
        self.Gs = Gs
        self._model, self._alpha = Gs.model_at(Gs.lod)
        self._traced = tf.function(self._gradients, reduce_retracing=True)

    def gradients(
        self, latents: Any, labels: np.ndarray | None, target: np.ndarray
    ) -> tuple[tf.Tensor, ...]:
        """Computes losses [N], images [N, H, W, C] and the losses' gradients [N, latent_size]."""
        return self._traced(latents, labels, tf.constant(target, tf.float32))

    def descend(
        self, latents: np.ndarray, labels: np.ndarray | None, target: np.ndarray, num_steps: int
    ) -> Iterator[tuple[np.ndarray, tf.Tensor, np.ndarray]]:
        """Yields losses, images and latents of the start and of each step of Adam."""
        z = tf.Variable(latents)
        optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(LEARNING_RATE, num_steps)
        )
        optimizer.build([z])
        for step in range(num_steps + 1):
            losses, fakes, gradients = self.gradients(z, labels, target)
            yield losses.numpy(), fakes, z.numpy()
            if step < num_steps:
                optimizer.apply([gradients])
                z.assign(_on_sphere(z))

    def _gradients(
        self, latents: Any, labels: np.ndarray | None, target: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            latents = tf.convert_to_tensor(latents)
            tape.watch(latents)
            inputs = self.Gs.inputs(latents, labels, self._alpha)
            with ops.implementation("training"):  # its gradients are faster
                fakes = self._model(inputs)
            losses = multi_scale_loss(fakes, target)
        return losses, fakes, tape.gradient(losses, latents)


def save_projection(
    found: Projection,
    target: np.ndarray,
    paths: Sequence[Path],
    marker: recipe.Marker = recipe.UNMARKED,
    lod: float = 0.0,
    depth: Depth = EIGHT_BITS,
    groups: Sequence[LabelGroup] = (),
) -> None:
    """Writes the latents that were found, their image, and the film of the search.

    Args:
        found: result of `project`.
        target: [R, R, C] in [-1, 1].
        paths: files for the latents (.npz), the image, the pair of images and the film.
        marker: makes the marks of the pictures and the film.
        lod: level of detail of the image.
        depth: type and range of the images, which are shown as pictures.
        groups: kinds of the label columns, whose file holds the dataset's values.
    """
    latents_path, image_path, pair_path, film_path = paths
    arrays: dict[str, Any] = {"latents": found.latents[np.newaxis]}
    if found.label is not None:
        arrays["labels"] = restored(found.label[np.newaxis], groups)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    files.write_atomically(latents_path, buffer.getvalue())
    labels = None if found.label is None else found.label[np.newaxis]
    facts = recipe.of_samples(samples.from_rows(found.latents[np.newaxis]), labels, lod)
    pair = images.image_grid(np.stack([target, found.image]), (2, 1))
    files.write_atomically(image_path, marker.png(depth.shown(found.image), facts))
    files.write_atomically(pair_path, marker.png(depth.shown(pair), {}, COMPOSITE))
    left, zoom = depth.shown(target), max(MIN_FILM_SIDE // target.shape[0], 1)
    pairs = (images.image_grid(np.stack([left, right]), (2, 1)) for right in found.history)
    frames = (film.zoomed(pair, zoom) for pair in pairs)
    film.write_film(film_path, frames, FILM_FPS, marker({}, COMPOSITE))


def _best_candidates(
    search: Search,
    target: np.ndarray,
    label: np.ndarray | None,
    seed: int,
    groups: Sequence[LabelGroup],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the random latents (and labels) with the smallest losses."""
    config, rng = search.Gs.config, np.random.RandomState(seed)
    latents = rng.randn(NUM_CANDIDATES, search.Gs.latent_size).astype(np.float32)
    latents, labels = _on_sphere(latents), None
    if config.label_size:
        labels = default_rows(np.arange(NUM_CANDIDATES), groups)
        labels = labels if label is None else np.tile(label, (NUM_CANDIDATES, 1))
    losses = [
        search.gradients(latents[part], _row(labels, part), target)[0]
        for part in (slice(i, i + MINIBATCH) for i in range(0, NUM_CANDIDATES, MINIBATCH))
    ]
    best = np.argsort(np.concatenate(losses), kind="stable")[:NUM_STARTS]
    return latents.numpy()[best], _row(labels, best)


def _on_sphere(latents: Any) -> tf.Tensor:
    """Scales latent vectors to unit mean square, as G does: [N, latent_size] -> same."""
    return latents * tf.math.rsqrt(tf.reduce_mean(tf.square(latents), axis=1, keepdims=True))


def _row(labels: np.ndarray | None, index: Any) -> Any:
    return None if labels is None else labels[index]
