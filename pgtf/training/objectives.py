"""The losses of D and G, computed by both networks for one minibatch. Paper, App. A.1."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from pgtf import losses, ops
from pgtf.label_groups import LabelGroup
from pgtf.losses import LossConfig, LossTerms
from pgtf.networks import Discriminator, Generator


def discriminator_parts(
    G: Generator,
    D: Discriminator,
    reals: tf.Tensor,
    labels: tf.Tensor,
    latents: tf.Tensor,
    mixing: tf.Tensor,
    alpha: tf.Tensor | None,
    config: LossConfig,
    loss_scale: tf.Tensor | None = None,
    groups: Sequence[LabelGroup] = (),
    augment: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
) -> list[Callable[[], LossTerms]]:
    """Splits D's loss into parts that sum to it; the fakes get the labels of the reals.

    Args:
        G: generator.
        D: discriminator.
        reals: [N, H, W, C] in [-1, 1], already faded and mirrored, of the size of a level.
        labels: [N, label_size].
        latents: [N, latent_size].
        mixing: [N, 1, 1, 1] in [0, 1), position between real and fake.
        alpha: [] weight of the finest branch; None is 1 without the lower-resolution branch.
        config: options of the loss.
        loss_scale: [] factor for the inner gradient in float16, or None.
        groups: kinds of the label columns; () = one class.
        augment: changes reals and fakes before D sees them and the penalty mixes them, or None.

    Returns:
        Functions -> LossTerms: the penalty if the loss has one, then reals and fakes, in one pass
        where D can score them jointly. Components are those of the loss, and with labels
        real_label_penalty and fake_label_penalty.
    """
    loss = losses.build(config)
    level = D.config.level_of(reals.shape)
    G_model, D_model, weight = _models(G, D, level, alpha)
    fakes = G_model(G.inputs(latents, labels, weight))
    if augment is not None:
        reals, fakes = augment(reals, fakes)

    def real_terms(scores: tf.Tensor, logits: tf.Tensor) -> LossTerms:
        terms = loss.reals(scores)
        weight = config.cond_weight
        return _with_labels(terms, "real_label_penalty", logits, labels, weight, groups)

    def fake_terms(scores: tf.Tensor, logits: tf.Tensor) -> LossTerms:
        terms = loss.fakes(scores)
        weight = config.fake_weight(groups)
        return _with_labels(terms, "fake_label_penalty", logits, labels, weight, groups)

    def score_jointly() -> LossTerms:
        of_reals, of_fakes = D.score_jointly(reals, fakes, alpha)
        return real_terms(*of_reals) + fake_terms(*of_fakes)

    def score(images: tf.Tensor) -> tf.Tensor:
        return D_model([images, weight])[0]

    parts: list[Callable[[], LossTerms]] = [
        lambda: real_terms(*D_model([reals, weight])),
        lambda: fake_terms(*D_model([fakes, weight])),
    ]
    if _is_scored_jointly(D, reals.shape, level):
        parts = [score_jointly]
    # Compute the penalty first: it holds two gradients per weight at once and so has the highest
    # peak memory.
    if loss.penalty is not None:
        enlargement = 2 ** (D.resolution_log2 - level)
        options = {"enlargement": enlargement, "loss_scale": loss_scale}
        parts.insert(0, functools.partial(loss.penalty, score, reals, fakes, mixing, **options))
    return parts


def generator_terms(
    G: Generator,
    D: Discriminator,
    latents: tf.Tensor,
    labels: tf.Tensor | None,
    resolution: int,
    alpha: tf.Tensor | None,
    config: LossConfig,
    groups: Sequence[LabelGroup] = (),
    augment: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> LossTerms:
    """Computes G's loss: latents [N, latent_size], labels [N, label_size] -> LossTerms.

    With labels there is a component label_penalty; alpha and groups as in `discriminator_parts`.
    `augment` changes fakes before D sees them.
    """
    G_model, D_model, weight = _models(G, D, resolution.bit_length() - 1, alpha)
    fakes = G_model(G.inputs(latents, labels, weight))
    if augment is not None:
        fakes = augment(fakes)
    scores, logits = D_model([fakes, weight])
    terms = losses.build(config).generator(scores)
    return _with_labels(terms, "label_penalty", logits, labels, config.cond_weight, groups)


def _is_scored_jointly(D: Discriminator, shape: tf.TensorShape, level: int) -> bool:
    """True if D scores reals and fakes [N, H, W, C] in one pass: same scores, and faster."""
    minibatch, height, width, _ = shape
    if not D.can_score_jointly(minibatch):
        return False
    map_bytes = 4 * minibatch * height * width * D.nf(level - 1)
    return ops.is_joint_pass_faster(map_bytes)


def _with_labels(
    terms: LossTerms,
    name: str,
    logits: tf.Tensor,
    labels: tf.Tensor | None,
    weight: float,
    groups: Sequence[LabelGroup],
) -> LossTerms:
    """Adds the AC-GAN term where D predicts labels."""
    if not logits.shape[1]:
        return terms
    penalty = losses.label_penalty(logits, labels, groups)
    return terms + LossTerms(weight * penalty, {name: penalty})


def _models(
    G: Generator, D: Discriminator, level: int, alpha: tf.Tensor | None
) -> tuple[keras.Model, keras.Model, tf.Tensor]:
    """Both networks' models at resolution 2^level, and the weight of their finest branch."""
    G_model, D_model = (n.model(level, alpha is not None) for n in (G, D))
    return G_model, D_model, tf.constant(1.0) if alpha is None else alpha
