"""Augmentation in an iteration: random numbers, the probability, and the images of D."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from pgtf import ops
from pgtf.augment import AugmentConfig, ada, diffaug
from pgtf.augment.draws import Draws
from pgtf.training import compilation
from pgtf.training.config import RunConfig
from pgtf.training.randomness import Sampler, Stream

STREAMS_OF_D = (Stream.D_AUGMENT_UNIFORM, Stream.D_AUGMENT_NORMAL)
STREAMS_OF_G = (Stream.G_AUGMENT_UNIFORM, Stream.G_AUGMENT_NORMAL)


class AugmentInputs(NamedTuple):
    """Tensors of one update, a part of `Inputs`. Of the S sets of numbers, the last is for fakes.

    All are per image, so that micro-batches can be selected.
    """

    uniforms: tf.Tensor  # [N, S, numbers] in [0, 1); S = 2 for reals and fakes in D, or 1
    normals: tf.Tensor  # [N, S, numbers]
    p: tf.Tensor  # [N] probability of each operation


class Augmentation:
    """Augments images for D, with the probability of a run."""

    def __init__(
        self,
        config: AugmentConfig,
        strategy: tf.distribute.Strategy,
        by_selection: bool = False,
    ) -> None:
        """Stores the arguments; `by_selection` as in `ada.augment`."""
        self._by_selection = by_selection
        self._is_ada, self._fixed_p = config.aug == "ada", config.aug_p
        self._draws: type[Draws] = ada.AdaDraws if self._is_ada else diffaug.DiffAugDraws
        # A variable, so that a traced iteration follows it.
        with strategy.scope():
            self._p = tf.Variable(
                config.aug_p or 0.0,
                trainable=False,
                dtype=tf.float32,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def set_p(self, p: float) -> None:
        """Sets the probability from the next call on, unless the configuration fixes it."""
        self._p.assign(p if self._fixed_p is None else self._fixed_p)

    def draw(
        self, sampler: Sampler, nimg: tf.Tensor, streams: tuple[Stream, Stream]
    ) -> AugmentInputs:
        """Samples the random numbers of an update, in replica context."""
        num_sets = 2 if streams == STREAMS_OF_D else 1
        uniforms, normals = (
            sample([num_sets, len(names)], nimg, stream)
            for sample, names, stream in zip(
                (sampler.uniform, sampler.normal),
                (self._draws.uniform_names, self._draws.normal_names),
                streams,
                strict=True,
            )
        )
        return AugmentInputs(uniforms, normals, tf.fill([uniforms.shape[0]], self._p))

    def of_D(
        self, reals: tf.Tensor, fakes: tf.Tensor, inputs: AugmentInputs
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Augments reals and fakes, both [N, H, W, C], alike."""
        uniforms, normals = (tf.concat([x[:, 0], x[:, 1]], axis=0) for x in inputs[:2])
        p = tf.concat([inputs.p, inputs.p], axis=0)
        both = self._augmented(tf.concat([reals, fakes], axis=0), uniforms, normals, p)
        found: list[tf.Tensor] = tf.split(both, 2)
        return found[0], found[1]

    def of_G(self, fakes: tf.Tensor, inputs: AugmentInputs) -> tf.Tensor:
        """Augments fakes [N, H, W, C]."""
        return self._augmented(fakes, inputs.uniforms[:, -1], inputs.normals[:, -1], inputs.p)

    def _augmented(
        self, images: tf.Tensor, uniforms: tf.Tensor, normals: tf.Tensor, p: tf.Tensor
    ) -> tf.Tensor:
        if self._is_ada:
            found = ada.augment(images, ada.AdaDraws(uniforms, normals), p, self._by_selection)
        else:
            found = diffaug.augment(images, diffaug.DiffAugDraws(uniforms, normals))
        return tf.ensure_shape(found, images.shape)


def build(config: RunConfig, strategy: tf.distribute.Strategy) -> Augmentation | None:
    """Returns the augmentation of a run; None if D sees images as they are."""
    if not config.augment.is_used:
        return None
    by_selection = not (ops.has_gpu() or compilation.is_used(config.training.jit))
    return Augmentation(config.augment, strategy, by_selection)
