"""The adversarial losses of the paper, one class each, and the gradient penalty."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pgtf import lazy
from pgtf.label_groups import LabelGroup, are_classes

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy.Module("tensorflow")  # LossConfig does without it


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Kind of loss, weights of its terms, and the noise that holds D back.

    Paper, App. A.1 and B; Gulrajani et al. 2017; Mao et al. 2017; Odena et al. 2017.
    """

    wgan_lambda: Annotated[float, "weight of the gradient penalty"] = 10.0
    wgan_epsilon: Annotated[
        float, "weight of the drift term, which keeps real scores near zero"
    ] = 0.001
    wgan_target: Annotated[float, "gradient norm that the penalty asks for"] = 1.0
    cond_weight: Annotated[float, "weight of the AC-GAN label terms, 0 = off"] = 1.0
    fake_cond_weight: Annotated[
        float | None,
        "weight of the labels of fakes in D's loss, relative to those of reals; None = 1 for one "
        "group of classes, as in the original release, and 0 for other labels",
    ] = None
    label_kinds: Annotated[
        Literal["dataset", "class"],
        "kinds of label columns: those that dataset.json states, or one class of all columns, as "
        "in the original release",
    ] = "dataset"
    kind: Annotated[Literal["wgan_gp", "lsgan"], "WGAN-GP, or least squares"] = "wgan_gp"
    lsgan_fake_weight: Annotated[float, "lsgan: weight of the fakes in D's loss"] = 0.1
    lsgan_real_target: Annotated[float, "lsgan: score that D should give to reals"] = 0.0
    lsgan_fake_target: Annotated[float, "lsgan: score that D should give to fakes"] = 1.0
    lsgan_G_target: Annotated[float, "lsgan: score that G wants for its fakes"] = 0.0
    noise_signal: Annotated[
        Literal["fake_scores", "D_loss"],
        "signal that the noise of use_gdrop follows: the mean score of fakes, as in the paper, or "
        "D's loss, as in the original Theano release",
    ] = "fake_scores"
    noise_ema: Annotated[float, "decay of the moving average of the signal, per iteration"] = 0.9
    noise_limit: Annotated[float, "value of that average above which there is noise"] = 0.5
    noise_exponent: Annotated[float, "exponent of the excess over the limit"] = 2.0
    noise_coef: Annotated[float, "noise strength per unit of that power"] = 0.2

    def __post_init__(self) -> None:
        weights = ("wgan_lambda", "wgan_epsilon", "cond_weight", "lsgan_fake_weight")
        for name in (*weights, "noise_exponent", "noise_coef"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"`{name}` must be at least 0. Received: {name}={getattr(self, name)}."
                )
        if self.fake_cond_weight is not None and self.fake_cond_weight < 0:
            raise ValueError(
                "`fake_cond_weight` must be at least 0, or none. "
                f"Received: fake_cond_weight={self.fake_cond_weight}."
            )
        if self.wgan_target <= 0:
            raise ValueError(
                f"`wgan_target` must be above 0. Received: wgan_target={self.wgan_target}."
            )
        if not 0 <= self.noise_ema <= 1:
            raise ValueError(
                f"`noise_ema` must be in 0 ... 1. Received: noise_ema={self.noise_ema}."
            )

    def fake_weight(self, groups: Sequence[LabelGroup]) -> float:
        """Weight of the labels of fakes in D's loss, for label columns of these kinds.

        D that learns to read fakes reads whatever code G puts there; where it learns from reals
        alone, G must show what reals show. Classes follow the original release.
        """
        if self.fake_cond_weight is not None:
            return self.cond_weight * self.fake_cond_weight
        return self.cond_weight if not groups or are_classes(groups) else 0.0


@dataclasses.dataclass(frozen=True)
class LossTerms:
    """A loss and its components, one value per sample."""

    loss: tf.Tensor  # [N]
    components: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)  # each [N]

    def __add__(self, other: LossTerms) -> LossTerms:
        return LossTerms(self.loss + other.loss, self.components | other.components)


class WassersteinLoss:
    """WGAN-GP with drift. Arjovsky et al. 2017; Gulrajani et al. 2017; paper, App. A.1.

    Attributes:
        statistics: components of D's loss whose means are worth logging.
    """

    statistics = ("real_scores", "fake_scores", "mixed_norms")

    def __init__(self, config: LossConfig) -> None:
        self._config = config

    def reals(self, scores: tf.Tensor) -> LossTerms:
        """D's loss on real images: [N, 1] -> [N]."""
        scores = scores[:, 0]
        drift = tf.square(scores)
        loss = self._config.wgan_epsilon * drift - scores
        return LossTerms(loss, {"real_scores": scores, "drift": drift})

    def fakes(self, scores: tf.Tensor) -> LossTerms:
        """D's loss on fake images: [N, 1] -> [N]."""
        return LossTerms(scores[:, 0], {"fake_scores": scores[:, 0]})

    def generator(self, scores: tf.Tensor) -> LossTerms:
        """G's loss: [N, 1] -> [N]."""
        return LossTerms(-scores[:, 0], {"fake_scores": scores[:, 0]})

    def penalty(
        self,
        score: Callable[[tf.Tensor], tf.Tensor],
        reals: tf.Tensor,
        fakes: tf.Tensor,
        mixing: tf.Tensor,
        *,
        enlargement: int,
        loss_scale: tf.Tensor | None = None,
    ) -> LossTerms:
        """Gradient penalty at points between reals and fakes. Gulrajani et al. 2017, Eq. 3.

        Args:
            score: D, [N, H, W, C] -> [N, 1].
            reals: [N, H, W, C].
            fakes: [N, H, W, C].
            mixing: [N, 1, 1, 1] in [0, 1), position between real and fake.
            enlargement: side of the full resolution over H; see `gradient_norms`.
            loss_scale: [] factor for the inner gradient in float16, or None.
        """
        scores, norms = gradient_norms(
            score, mix(reals, fakes, mixing), enlargement=enlargement, loss_scale=loss_scale
        )
        target = self._config.wgan_target
        loss = self._config.wgan_lambda * (tf.square(norms - target) / target**2)
        return LossTerms(loss, {"mixed_scores": scores[:, 0], "mixed_norms": norms})


class LeastSquaresLoss:
    """LSGAN with the targets and weights of the paper. Mao et al. 2017; paper, App. B.

    Attributes:
        statistics: as in `WassersteinLoss`.
        penalty: None, because this loss has none.
    """

    statistics = ("real_scores", "fake_scores")
    penalty = None

    def __init__(self, config: LossConfig) -> None:
        self._config = config

    def reals(self, scores: tf.Tensor) -> LossTerms:
        """D's loss on real images: [N, 1] -> [N]."""
        loss = tf.square(scores[:, 0] - self._config.lsgan_real_target)
        return LossTerms(loss, {"real_scores": scores[:, 0]})

    def fakes(self, scores: tf.Tensor) -> LossTerms:
        """D's loss on fake images: [N, 1] -> [N]."""
        errors = tf.square(scores[:, 0] - self._config.lsgan_fake_target)
        return LossTerms(self._config.lsgan_fake_weight * errors, {"fake_scores": scores[:, 0]})

    def generator(self, scores: tf.Tensor) -> LossTerms:
        """G's loss: [N, 1] -> [N]."""
        loss = tf.square(scores[:, 0] - self._config.lsgan_G_target)
        return LossTerms(loss, {"fake_scores": scores[:, 0]})


LOSSES: dict[str, type[Loss]] = {"wgan_gp": WassersteinLoss, "lsgan": LeastSquaresLoss}


class Loss(Protocol):
    """Interface of a loss; a new one is a class like those above and a line in LOSSES.

    Components of D's terms must include its `statistics`. `penalty` has the arguments of
    `WassersteinLoss.penalty`, or is None.
    """

    def __init__(self, config: LossConfig) -> None: ...

    @property
    def statistics(self) -> tuple[str, ...]: ...

    @property
    def penalty(self) -> Callable[..., LossTerms] | None: ...

    def reals(self, scores: tf.Tensor) -> LossTerms: ...

    def fakes(self, scores: tf.Tensor) -> LossTerms: ...

    def generator(self, scores: tf.Tensor) -> LossTerms: ...


def build(config: LossConfig) -> Loss:
    """Returns the loss that `config.kind` names."""
    return LOSSES[config.kind](config)


def mix(reals: tf.Tensor, fakes: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Interpolates towards the fakes: two [N, H, W, C], weights [N, 1, 1, 1] in [0, 1] -> same."""
    return reals + (fakes - reals) * weights


def gradient_norms(
    score: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    *,
    enlargement: int,
    loss_scale: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Norm of the gradient of the summed scores: [N, H, W, C] -> scores [N, 1], norms [N].

    With `loss_scale`, a scalar, the scores are multiplied by it before they are differentiated and
    the gradient is divided by it, so that the values in between fit the range of float16.

    The original differentiates with respect to images enlarged to the full resolution, each pixel
    repeated `enlargement` x `enlargement` times and averaged again by D: every copy gets an
    `enlargement`**2-th of the gradient, so the norm is that of the small image / `enlargement`.

    There is no epsilon under the root, as in the original: a gradient of exactly zero makes the
    update non-finite, and it is skipped. Gulrajani et al. 2017, Eq. 3.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores = score(images)
        total = tf.reduce_sum(scores)
        if loss_scale is not None:
            total *= loss_scale
    gradients = tape.gradient(total, images)
    if loss_scale is not None:
        gradients /= loss_scale
    return scores, tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])) / enlargement
