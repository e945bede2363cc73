"""The losses of D and G, computed by both networks for one minibatch. Paper, App. A.1."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from pgtf import losses, ops
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
    augment: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
) -> list[Callable[[], LossTerms]]:
    """Splits D's loss into parts that sum to it; the fakes get the labels of the reals.

    Args:
        G: generator.
        D: discriminator.
        reals: [N, R, R, C] in [-1, 1], already faded and mirrored; R is the resolution.
        labels: [N, label_size].
        latents: [N, latent_size].
        mixing: [N, 1, 1, 1] in [0, 1), position between real and fake.
        alpha: [] weight of the finest branch; None is 1 without the lower-resolution branch.
        config: options of the loss.
        loss_scale: [] factor for the inner gradient in float16, or None.
        augment: changes reals and fakes before D sees them and the penalty mixes them, or None.

    Returns:
        Functions -> LossTerms: the penalty if the loss has one, then reals and fakes, in one pass
        where D can score them jointly. Components are those of the loss, and with labels
        real_label_penalty and fake_label_penalty.
    """
    loss = losses.build(config)
    G_model, D_model, weight = _models(G, D, reals.shape[1], alpha)
    fakes = G_model(G.inputs(latents, labels, weight))
    if augment is not None:
        reals, fakes = augment(reals, fakes)

    def real_terms(scores: tf.Tensor, logits: tf.Tensor) -> LossTerms:
        return _with_labels(loss.reals(scores), "real_label_penalty", logits, labels, config)

    def fake_terms(scores: tf.Tensor, logits: tf.Tensor) -> LossTerms:
        return _with_labels(loss.fakes(scores), "fake_label_penalty", logits, labels, config)

    def score_jointly() -> LossTerms:
        of_reals, of_fakes = D.score_jointly(reals, fakes, alpha)
        return real_terms(*of_reals) + fake_terms(*of_fakes)

    def score(images: tf.Tensor) -> tf.Tensor:
        return D_model([images, weight])[0]

    parts: list[Callable[[], LossTerms]] = [
        lambda: real_terms(*D_model([reals, weight])),
        lambda: fake_terms(*D_model([fakes, weight])),
    ]
    if _is_scored_jointly(D, reals.shape):
        parts = [score_jointly]
    # Compute the penalty first: it holds two gradients per weight at once and so has the highest
    # peak memory.
    if loss.penalty is not None:
        enlargement = D.config.resolution // reals.shape[1]
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
    augment: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> LossTerms:
    """Computes G's loss: latents [N, latent_size], labels [N, label_size] -> LossTerms.

    With labels there is a component label_penalty; alpha as in `discriminator_parts`. `augment`
    changes fakes before D sees them.
    """
    G_model, D_model, weight = _models(G, D, resolution, alpha)
    fakes = G_model(G.inputs(latents, labels, weight))
    if augment is not None:
        fakes = augment(fakes)
    scores, logits = D_model([fakes, weight])
    terms = losses.build(config).generator(scores)
    return _with_labels(terms, "label_penalty", logits, labels, config)


def _is_scored_jointly(D: Discriminator, shape: tf.TensorShape) -> bool:
    """True if D scores reals and fakes [N, R, R, C] in one pass: same scores, and faster."""
    minibatch, resolution = shape[0], shape[1]
    if not D.can_score_jointly(minibatch):
        return False
    map_bytes = 4 * minibatch * resolution**2 * D.nf(resolution.bit_length() - 2)
    return ops.is_joint_pass_faster(map_bytes)


def _with_labels(
    terms: LossTerms, name: str, logits: tf.Tensor, labels: tf.Tensor | None, config: LossConfig
) -> LossTerms:
    """Adds the AC-GAN term where D predicts labels."""
    if not logits.shape[1]:
        return terms
    penalty = losses.label_penalty(logits, labels)
    return terms + LossTerms(config.cond_weight * penalty, {name: penalty})


def _models(
    G: Generator, D: Discriminator, resolution: int, alpha: tf.Tensor | None
) -> tuple[keras.Model, keras.Model, tf.Tensor]:
    """Both networks' models at a resolution, and the weight of their finest branch."""
    G_model, D_model = (n.model(resolution.bit_length() - 1, alpha is not None) for n in (G, D))
    return G_model, D_model, tf.constant(1.0) if alpha is None else alpha
