"""Losses of the paper as functions of tensors, one value per sample.

Where the original release broadcasts [N, 1] terms with [N] ones into an [N, N] matrix, these are
the [N] values whose mean is the same (reference, section A).
"""

import dataclasses
from typing import Annotated

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the terms. Paper, App. A.1; Gulrajani et al. 2017; Odena et al. 2017."""

    wgan_lambda: Annotated[float, "weight of the gradient penalty"] = 10.0
    wgan_epsilon: Annotated[
        float, "weight of the drift term, which keeps real scores near zero"
    ] = 0.001
    wgan_target: Annotated[float, "gradient norm that the penalty asks for"] = 1.0
    cond_weight: Annotated[float, "weight of the AC-GAN label terms, 0 = off"] = 1.0


def mix(reals, fakes, weights):
    """Interpolates towards the fakes: two [N, H, W, C], weights [N, 1, 1, 1] in [0, 1] -> same."""
    return reals + (fakes - reals) * weights


def gradient_norms(scores_of, images, enlargement):
    """Norm of the gradient of the summed scores: [N, H, W, C] -> scores [N, 1], norms [N].

    The original differentiates with respect to images enlarged to the full resolution, each pixel
    repeated `enlargement` x `enlargement` times and averaged again by D: every copy gets an
    `enlargement`**2-th of the gradient, so the norm is that of the small image / `enlargement`.

    There is no epsilon under the root, as in the original: a gradient of exactly zero makes the
    update non-finite, and it is skipped. Gulrajani et al. 2017, Eq. 3.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores = scores_of(images)
        total = tf.reduce_sum(scores)
    gradients = tape.gradient(total, images)
    return scores, tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])) / enlargement


def wgan_gp_discriminator(real_scores, fake_scores, mixed_norms, config):
    """Loss of D: scores [N, 1] twice, norms [N] -> [N]. Gulrajani et al. 2017, Eq. 3; App. A.1."""
    real_scores, fake_scores = real_scores[:, 0], fake_scores[:, 0]
    penalty = tf.square(mixed_norms - config.wgan_target) / config.wgan_target**2
    drift = tf.square(real_scores)
    wasserstein = fake_scores - real_scores
    return wasserstein + config.wgan_lambda * penalty + config.wgan_epsilon * drift


def wgan_generator(fake_scores):
    """Loss of G: [N, 1] -> [N]. Arjovsky et al. 2017."""
    return -fake_scores[:, 0]


def label_penalty(label_logits, labels):
    """Cross-entropy against label vectors, one-hot or not: two [N, L] -> [N]. Odena et al. 2017."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=label_logits)
