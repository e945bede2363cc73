"""Inputs of an update: images for D, and everything random."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pgtf.dataset.labels import LabelTable
from pgtf.training import augmentation
from pgtf.training.augmentation import Augmentation, AugmentInputs
from pgtf.training.config import RunConfig
from pgtf.training.randomness import Sampler, Stream

# uint8 reals [N, R, R, C], or [N, C, R, R] (feeding.channels_first), and labels [N, L].
Batch = tuple[tf.Tensor, tf.Tensor]


class Inputs(NamedTuple):
    """Tensors of one update that a program of XLA takes; None where it has no use for one.

    Random numbers are among them, because XLA computes others from the same seed.
    """

    latents: tf.Tensor  # [N, latent_size]
    labels: tf.Tensor | None  # [N, L]
    images: tf.Tensor | None = None  # as in Batch
    mirror: tf.Tensor | None = None  # [N, 1, 1, 1] in [0, 1)
    mixing: tf.Tensor | None = None  # [N, 1, 1, 1] in [0, 1)
    augment: AugmentInputs | None = None


class InputSource:
    """Inputs of both updates, in replica context, as functions of the images shown."""

    def __init__(
        self,
        config: RunConfig,
        sampler: Sampler,
        labels: LabelTable,
        latent_size: int,
        augments: Augmentation | None = None,
    ) -> None:
        self._config, self._sampler, self._augmentation = config, sampler, augments
        self._labels, self._latent_size = labels, latent_size

    def of_D(self, batch: Batch, nimg: tf.Tensor) -> Inputs:
        """Inputs of D's update; its fakes get the labels of the reals."""
        images, labels = batch
        mirror = None
        if self._config.dataset.mirror_augment:
            mirror = self._sampler.uniform([1, 1, 1], nimg, Stream.MIRROR)
        latents = self._latents(nimg, Stream.D_LATENTS)
        mixing = self._sampler.uniform([1, 1, 1], nimg, Stream.MIXING)
        augment = self._augment(nimg, augmentation.STREAMS_OF_D)
        return Inputs(latents, labels, images, mirror, mixing, augment)

    def of_G(self, nimg: tf.Tensor) -> Inputs:
        """Inputs of G's update: uniform rows of the training labels, as in the original."""
        labels = None
        if self._labels.label_size:
            which = self._sampler.uniform([], nimg, Stream.G_LABELS)
            labels = self._labels.gather(tf.cast(which * self._labels.num_images, tf.int64))
        augment = self._augment(nimg, augmentation.STREAMS_OF_G)
        return Inputs(self._latents(nimg, Stream.G_LATENTS), labels, augment=augment)

    def _augment(self, nimg: tf.Tensor, streams: tuple[Stream, Stream]) -> AugmentInputs | None:
        if self._augmentation is None:
            return None
        return self._augmentation.draw(self._sampler, nimg, streams)

    def _latents(self, nimg: tf.Tensor, purpose: Stream) -> tf.Tensor:
        return self._sampler.normal([self._latent_size], nimg, purpose)
