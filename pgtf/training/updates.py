"""One iteration on one replica: the update of D, the moving average, then the update of G."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from pgtf import losses
from pgtf.dataset import pipeline
from pgtf.dataset.labels import LabelTable
from pgtf.losses import LossTerms
from pgtf.networks import DiscriminatorConfig, Network
from pgtf.training import differentiation, feeding, objectives
from pgtf.training.adam import Adam
from pgtf.training.adaptive_noise import AdaptiveNoise
from pgtf.training.config import RunConfig
from pgtf.training.moving_average import moving_variables, update_moving_average
from pgtf.training.randomness import Sampler, Stream
from pgtf.training.state import TrainingState

# uint8 reals [N, R, R, C], or [N, C, R, R] (feeding.channels_first), and labels [N, L].
Batch = tuple[tf.Tensor, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Properties that are fixed in a traced function."""

    resolution: int
    minibatch: int  # global
    fading: bool  # False = without the lower-resolution branch

    @property
    def resolution_log2(self) -> int:
        return self.resolution.bit_length() - 1


@dataclasses.dataclass(frozen=True)
class Update:
    """Averaged gradients for an optimizer, and the mean loss and statistics behind them."""

    variables: dict[str, tf.Variable]
    gradients: differentiation.Tensors
    means: tf.Tensor  # [1 + number of statistics]


@dataclasses.dataclass(frozen=True)
class Objective:
    """Description of one network's loss, to be computed for micro-batches."""

    network: Network
    optimizer: Adam
    parts: Callable[..., Sequence[Callable[[], LossTerms]]]  # (*inputs, loss_scale=)
    inputs: tuple[tf.Tensor | None, ...]  # tensors of this replica; None is passed on
    statistics: tuple[str, ...]  # components to average
    noise_purpose: Stream


def statistics_of(loss: losses.Loss) -> tuple[str, ...]:
    """Names of the values that an iteration returns."""
    return ("G_loss", "D_loss", *loss.statistics, "noise_strength", "skipped")


class Updates:
    """The updates of one stage, compiled by XLA or not."""

    def __init__(
        self,
        state: TrainingState,
        config: RunConfig,
        noise: AdaptiveNoise,
        labels: LabelTable,
        stage: Stage,
        jit: bool,
    ) -> None:
        self._state, self._config, self._noise, self._labels = state, config, noise, labels
        self._stage, self._jit = stage, jit
        self._statistics = losses.build(config.loss).statistics
        self._sampler = Sampler(config.training.seed, stage.minibatch)
        self._averaged = moving_variables(state.G, state.Gs, stage.resolution_log2)

    def iteration(
        self,
        batch: Batch,
        nimg: tf.Tensor,
        alpha: tf.Tensor,
        G_lrate: tf.Tensor,
        D_lrate: tf.Tensor,
        noise_strength: tf.Tensor,
    ) -> tf.Tensor:
        """Runs the last update of D and that of G: -> one value per name of `statistics_of`."""
        training = self._config.training
        simultaneous = training.update_order == "simultaneous"
        D_nimg = nimg + (training.D_repeats - 1) * self._stage.minibatch
        D_update, latents = self.compute_D(batch, D_nimg, alpha, noise_strength)
        labels: tf.Tensor | None = batch[1]
        if not simultaneous:
            D_updated = self.apply_D(D_update, D_lrate)
            latents = self._draw_latents(nimg, Stream.G_LATENTS)
            labels = self._draw_labels(nimg)
        # Otherwise G's forward pass could start before D's update ends, and both sets of
        # activations would be in memory.
        with tf.control_dependencies([tf.group(*D_update.gradients.values())]):
            G_update = self._compute_G(latents, labels, nimg, alpha, noise_strength)
        if simultaneous:
            D_updated = self.apply_D(D_update, D_lrate)
        if training.G_smoothing_per == "G_update":
            self._move_average()
        G_updated = self._state.G_opt.apply(G_update.variables, G_update.gradients, G_lrate)
        skipped = 2.0 - tf.cast(G_updated, tf.float32) - tf.cast(D_updated, tf.float32)
        return tf.concat([G_update.means, D_update.means, [noise_strength], [skipped]], axis=0)

    def compute_D(
        self, batch: Batch, nimg: tf.Tensor, alpha: tf.Tensor, noise_strength: tf.Tensor
    ) -> tuple[Update, tf.Tensor]:
        """Computes D's gradients. Returns the update and the latents of its fakes."""
        G, D, config = self._state.G, self._state.D, self._config
        images, labels = batch
        if feeding.channels_first():
            images = tf.transpose(images, [0, 2, 3, 1])
        mirror = None
        if config.dataset.mirror_augment:
            mirror = self._sampler.uniform([1, 1, 1], nimg, Stream.MIRROR)
        strict = config.dataset.strict_uint8_fade
        reals = pipeline.process_reals(images, alpha, mirror, strict_uint8=strict)
        latents = self._draw_latents(nimg, Stream.D_LATENTS)
        mixing = self._sampler.uniform([1, 1, 1], nimg, Stream.MIXING)

        def parts(
            reals: tf.Tensor,
            labels: tf.Tensor,
            latents: tf.Tensor,
            mixing: tf.Tensor,
            loss_scale: tf.Tensor | None,
        ) -> list[Callable[[], LossTerms]]:
            weight = alpha if self._stage.fading else None
            return objectives.discriminator_parts(
                G, D, reals, labels, latents, mixing, weight, config.loss, loss_scale
            )

        inputs = (reals, labels, latents, mixing)
        objective = Objective(D, self._state.D_opt, parts, inputs, self._statistics, Stream.D_NOISE)
        return self._compute(objective, nimg, noise_strength), latents

    def _compute_G(
        self,
        latents: tf.Tensor,
        labels: tf.Tensor | None,
        nimg: tf.Tensor,
        alpha: tf.Tensor,
        noise_strength: tf.Tensor,
    ) -> Update:
        G, D, config = self._state.G, self._state.D, self._config

        def parts(*inputs: tf.Tensor, loss_scale: tf.Tensor) -> list[Callable[[], LossTerms]]:
            weight = alpha if self._stage.fading else None
            args = (*inputs, self._stage.resolution, weight, config.loss)
            return [lambda: objectives.generator_terms(G, D, *args)]

        objective = Objective(G, self._state.G_opt, parts, (latents, labels), (), Stream.G_NOISE)
        return self._compute(objective, nimg, noise_strength)

    def _compute(self, objective: Objective, nimg: tf.Tensor, noise_strength: tf.Tensor) -> Update:
        """Computes either network's gradients, averaged over micro-batches and replicas."""
        resolution_log2 = self._stage.resolution_log2
        variables = objective.network.variables_at(resolution_log2)
        networks: tuple[Network, Network] = (self._state.G, self._state.D)
        weights = {each: differentiation.read_weights(each, resolution_log2) for each in networks}
        trained = {name: weights[objective.network][name] for name in variables}
        scale = objective.optimizer.loss_scale()
        num_parts = self._config.schedule.grad_accumulation

        def compute(index: tf.Tensor | int) -> tuple[tf.Tensor, differentiation.Tensors]:
            def micro_batch(values: tf.Tensor) -> tf.Tensor:
                return select_micro_batch(values, index, num_parts, self._config.D)

            inputs = [None if x is None else micro_batch(x) for x in objective.inputs]
            purpose = objective.noise_purpose
            with (
                differentiation.computing_with(*weights.items()),
                self._noise.active(noise_strength, self._sampler, nimg, purpose, micro_batch),
            ):
                parts = objective.parts(*inputs, loss_scale=scale)
                terms, found = differentiation.gradients_of(parts, trained, scale)
            values = [terms.loss, *(terms.components[name] for name in objective.statistics)]
            return tf.stack([tf.reduce_mean(value) for value in values]), found

        if self._jit:
            compute = tf.function(compute, jit_compile=True, autograph=False)
        num_values = 1 + len(objective.statistics)
        means, found = differentiation.mean_over_parts(compute, num_parts, num_values, variables)
        return Update(variables, differentiation.average_over_replicas(found), means)

    def apply_D(self, update: Update, lrate: tf.Tensor) -> tf.Tensor:
        """Updates D, and Gs with it: -> [] bool, False if the update was skipped."""
        updated = self._state.D_opt.apply(update.variables, update.gradients, lrate)
        if self._config.training.G_smoothing_per == "D_update":
            self._move_average()
        return updated

    def _move_average(self) -> None:
        averages, sources = (
            {name: network.variables_by_name[name] for name in self._averaged}
            for network in (self._state.Gs, self._state.G)
        )
        update_moving_average(averages, sources, self._config.training.G_smoothing)

    def _draw_labels(self, nimg: tf.Tensor) -> tf.Tensor | None:
        """Uniform rows of the training labels, as in the original; None without labels."""
        if not self._labels.label_size:
            return None
        which = self._sampler.uniform([], nimg, Stream.G_LABELS)
        return self._labels.gather(tf.cast(which * self._labels.num_images, tf.int64))

    def _draw_latents(self, nimg: tf.Tensor, purpose: Stream) -> tf.Tensor:
        return self._sampler.normal([self._state.G.latent_size], nimg, purpose)


def select_micro_batch(
    values: tf.Tensor, index: tf.Tensor | int, num_parts: int, D: DiscriminatorConfig
) -> tf.Tensor:
    """Selects one of `num_parts` micro-batches, made of whole groups of D: [N, ...] -> [n, ...].

    A group is every G-th of N samples (networks.MinibatchStdDev), so micro-batch p of P takes the
    groups p * G / P, ... and no group changes its members.
    """
    if num_parts == 1:
        return values
    size, rest = values.shape[0] // num_parts, values.shape[1:]
    group = D.group_of(size)
    parts = tf.reshape(values, [group, num_parts, size // group, *rest])
    return tf.reshape(tf.gather(parts, index, axis=1), [size, *rest])
