"""Losses of the paper as functions of tensors, one value per sample.

Where the original release broadcasts [N, 1] terms with [N] ones into an [N, N] matrix, these are
the [N] values whose mean is the same (reference, section A).
"""

import dataclasses
from typing import Annotated, Literal

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Kind of loss, weights of the terms, and the noise that holds D back.

    Paper, App. A.1 and B; Gulrajani et al. 2017; Mao et al. 2017; Odena et al. 2017.
    """

    wgan_lambda: Annotated[float, "weight of the gradient penalty"] = 10.0
    wgan_epsilon: Annotated[
        float, "weight of the drift term, which keeps real scores near zero"
    ] = 0.001
    wgan_target: Annotated[float, "gradient norm that the penalty asks for"] = 1.0
    cond_weight: Annotated[float, "weight of the AC-GAN label terms, 0 = off"] = 1.0
    kind: Annotated[Literal["wgan_gp", "lsgan"], "WGAN-GP, or least squares"] = "wgan_gp"
    lsgan_fake_weight: Annotated[float, "lsgan: weight of the fakes in D's loss"] = 0.1
    lsgan_real_target: Annotated[float, "lsgan: score that D is to give reals"] = 0.0
    lsgan_fake_target: Annotated[float, "lsgan: score that D is to give fakes"] = 1.0
    lsgan_G_target: Annotated[float, "lsgan: score that G wants for its fakes"] = 0.0
    noise_signal: Annotated[
        Literal["fake_scores", "D_loss"],
        "what the noise of use_gdrop follows: the paper's mean score of fakes, or D's loss, which "
        "the original Theano release reads",
    ] = "fake_scores"
    noise_ema: Annotated[float, "decay of the moving average of the signal, per iteration"] = 0.9
    noise_limit: Annotated[float, "value of that average above which there is noise"] = 0.5
    noise_exponent: Annotated[float, "of what exceeds the limit"] = 2.0
    noise_coef: Annotated[float, "factor of that: the noise strength"] = 0.2

    def __post_init__(self) -> None:
        weights = ("wgan_lambda", "wgan_epsilon", "cond_weight", "lsgan_fake_weight")
        for name in (*weights, "noise_exponent", "noise_coef"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"`{name}` must be at least 0. Received: {name}={getattr(self, name)}."
                )
        if self.wgan_target <= 0:
            raise ValueError(
                f"`wgan_target` must be above 0. Received: wgan_target={self.wgan_target}."
            )
        if not 0 <= self.noise_ema <= 1:
            raise ValueError(
                f"`noise_ema` must be in 0 ... 1. Received: noise_ema={self.noise_ema}."
            )


def mix(reals, fakes, weights):
    """Interpolates towards the fakes: two [N, H, W, C], weights [N, 1, 1, 1] in [0, 1] -> same."""
    return reals + (fakes - reals) * weights


def gradient_norms(scores_of, images, enlargement, loss_scale=None):
    """Norm of the gradient of the summed scores: [N, H, W, C] -> scores [N, 1], norms [N].

    With `loss_scale`, a scalar, the scores are multiplied by it before they are differentiated and
    the gradient is divided by it, so that what lies between fits the range of float16.

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
        if loss_scale is not None:
            total *= loss_scale
    gradients = tape.gradient(total, images)
    if loss_scale is not None:
        gradients /= loss_scale
    return scores, tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])) / enlargement


def wgan_reals(scores, config):
    """What D's loss has for reals: [N, 1] -> [N]. Arjovsky et al. 2017; drift: App. A.1."""
    return config.wgan_epsilon * tf.square(scores[:, 0]) - scores[:, 0]


def wgan_fakes(scores):
    """What D's loss has for fakes: [N, 1] -> [N]. Arjovsky et al. 2017."""
    return scores[:, 0]


def gradient_penalty(mixed_norms, config):
    """What the norms of the gradient add to it: [N] -> [N]. Gulrajani et al. 2017, Eq. 3."""
    errors = mixed_norms - config.wgan_target
    return config.wgan_lambda * (tf.square(errors) / config.wgan_target**2)


def wgan_generator(fake_scores):
    """Loss of G: [N, 1] -> [N]. Arjovsky et al. 2017."""
    return -fake_scores[:, 0]


def lsgan_reals(scores, config):
    """What D's least-squares loss has for reals: [N, 1] -> [N]. Mao et al. 2017; paper, App. B."""
    return tf.square(scores[:, 0] - config.lsgan_real_target)


def lsgan_fakes(scores, config):
    """What it has for fakes, as `lsgan_reals`."""
    return config.lsgan_fake_weight * tf.square(scores[:, 0] - config.lsgan_fake_target)


def lsgan_generator(fake_scores, config):
    """Least-squares loss of G: [N, 1] -> [N]. Mao et al. 2017."""
    return tf.square(fake_scores[:, 0] - config.lsgan_G_target)


def noise_strength(ema, config):
    """Strength of D's noise, at least 0, from the average of its signal. Paper, App. B."""
    excess = tf.maximum(ema - config.noise_limit, 0.0)
    return config.noise_coef * tf.pow(excess, config.noise_exponent)


def next_noise_ema(ema, signal, config):
    """Moving average of the noise signal, clipped to [0, 1], after one more value; starts at 0.

    A value that is not finite changes nothing, as its update of D is skipped.
    """
    clipped = tf.clip_by_value(signal, 0.0, 1.0)
    updated = config.noise_ema * ema + (1.0 - config.noise_ema) * clipped
    return tf.where(tf.math.is_finite(signal), updated, ema)


def label_penalty(label_logits, labels):
    """Cross-entropy against label vectors, one-hot or not: two [N, L] -> [N]. Odena et al. 2017."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=label_logits)
