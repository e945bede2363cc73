"""One iteration on one replica: the update of D, the moving average, then the update of G."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from pgtf import losses
from pgtf.dataset import pipeline
from pgtf.dataset.labels import LabelTable
from pgtf.images import UINT8_DRANGE
from pgtf.losses import LossTerms
from pgtf.networks import DiscriminatorConfig, Network
from pgtf.training import compilation, differentiation, feeding, objectives
from pgtf.training.adam import Adam
from pgtf.training.adaptive_noise import AdaptiveNoise
from pgtf.training.augmentation import Augmentation, AugmentInputs
from pgtf.training.config import RunConfig
from pgtf.training.inputs import Batch, Inputs, InputSource
from pgtf.training.moving_average import moving_variables, update_moving_average
from pgtf.training.randomness import Sampler, Stream
from pgtf.training.state import TrainingState


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
    """The updates of one stage.

    With `jit` XLA compiles an iteration as one program. Where an all-reduce over several replicas
    cuts it, each update is two programs per replica: the gradients, and the step along them.
    """

    def __init__(
        self,
        state: TrainingState,
        config: RunConfig,
        noise: AdaptiveNoise,
        labels: LabelTable,
        stage: Stage,
        jit: bool,
        num_replicas: int = 1,
        value_range: tuple[float, float] = UINT8_DRANGE,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._state, self._config, self._noise = state, config, noise
        self._value_range, self._groups = value_range, labels.groups
        self._stage, self._jit, self._augmentation = stage, jit, augmentation
        # The draws of D's noise layers belong to the gradients.
        is_cut = num_replicas > 1 or state.D.noise is not None
        self._is_one_program, self._is_cut = jit and not is_cut, jit and is_cut
        self._statistics = losses.build(config.loss).statistics
        self._sampler = Sampler(config.training.seed, stage.minibatch)
        self._inputs = InputSource(config, self._sampler, labels, state.G.latent_size, augmentation)
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
        of_D = self._inputs.of_D(batch, D_nimg)
        of_G = of_D if simultaneous else self._inputs.of_G(nimg)

        def run(
            of_D: Inputs, of_G: Inputs, alpha: tf.Tensor, G_lrate: tf.Tensor, D_lrate: tf.Tensor
        ) -> tf.Tensor:
            D_update = self._compute_D(of_D, D_nimg, alpha, noise_strength)
            if not simultaneous:
                D_updated = self.apply_D(D_update, D_lrate)
            # Otherwise G's forward pass could start before D's update ends, and both sets of
            # activations would be in memory.
            with tf.control_dependencies([tf.group(*D_update.gradients.values())]):
                G_update = self._compute_G(of_G, nimg, alpha, noise_strength)
            if simultaneous:
                D_updated = self.apply_D(D_update, D_lrate)
            G_updated = self._apply_G(G_update, G_lrate)
            skipped = 2.0 - tf.cast(G_updated, tf.float32) - tf.cast(D_updated, tf.float32)
            return tf.concat([G_update.means, D_update.means, [noise_strength], [skipped]], axis=0)

        return self._program(run)(of_D, of_G, alpha, G_lrate, D_lrate)

    def update_D(
        self,
        batch: Batch,
        nimg: tf.Tensor,
        alpha: tf.Tensor,
        lrate: tf.Tensor,
        noise_strength: tf.Tensor,
    ) -> None:
        """Runs an update of D alone."""

        def run(inputs: Inputs, alpha: tf.Tensor, lrate: tf.Tensor) -> tf.Tensor:
            return self.apply_D(self._compute_D(inputs, nimg, alpha, noise_strength), lrate)

        self._program(run)(self._inputs.of_D(batch, nimg), alpha, lrate)

    def compute_D(
        self, batch: Batch, nimg: tf.Tensor, alpha: tf.Tensor, noise_strength: tf.Tensor
    ) -> tuple[Update, tf.Tensor]:
        """Computes D's gradients. Returns the update and the latents of its fakes."""
        inputs = self._inputs.of_D(batch, nimg)
        return self._compute_D(inputs, nimg, alpha, noise_strength), inputs.latents

    def _program(self, function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        """Compiles a function of tensors, or of `Inputs`, if the iteration is one program."""
        return compilation.compiled(function) if self._is_one_program else function

    def _step_program(self, function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        """Compiles a function of gradients if it is a program of its own."""
        return compilation.compiled(function) if self._is_cut else function

    def _compute_D(
        self, inputs: Inputs, nimg: tf.Tensor, alpha: tf.Tensor, noise_strength: tf.Tensor
    ) -> Update:
        G, D, config = self._state.G, self._state.D, self._config
        images = inputs.images
        if feeding.channels_first():
            images = tf.transpose(images, [0, 2, 3, 1])
        strict = config.dataset.strict_uint8_fade
        reals = pipeline.process_reals(
            images, alpha, inputs.mirror, strict_uint8=strict, value_range=self._value_range
        )

        def parts(
            reals: tf.Tensor,
            labels: tf.Tensor,
            latents: tf.Tensor,
            mixing: tf.Tensor,
            *numbers: tf.Tensor,
            loss_scale: tf.Tensor | None,
        ) -> list[Callable[[], LossTerms]]:
            weight, augment = alpha if self._stage.fading else None, None
            if (augmentation := self._augmentation) is not None:
                augment = functools.partial(augmentation.of_D, inputs=AugmentInputs(*numbers))
            return objectives.discriminator_parts(
                *(G, D, reals, labels, latents, mixing, weight, config.loss, loss_scale),
                *(self._groups, augment),
            )

        numbers = inputs.augment or ()
        tensors = (reals, inputs.labels, inputs.latents, inputs.mixing, *numbers)
        stream = Stream.D_NOISE
        objective = Objective(D, self._state.D_opt, parts, tensors, self._statistics, stream)
        return self._compute(objective, nimg, noise_strength)

    def _compute_G(
        self, inputs: Inputs, nimg: tf.Tensor, alpha: tf.Tensor, noise_strength: tf.Tensor
    ) -> Update:
        G, D, config = self._state.G, self._state.D, self._config

        def parts(
            latents: tf.Tensor,
            labels: tf.Tensor | None,
            *numbers: tf.Tensor,
            loss_scale: tf.Tensor,
        ) -> list[Callable[[], LossTerms]]:
            weight, augment = alpha if self._stage.fading else None, None
            if (augmentation := self._augmentation) is not None:
                augment = functools.partial(augmentation.of_G, inputs=AugmentInputs(*numbers))
            options = (self._stage.resolution, weight, config.loss, self._groups, augment)
            args = (latents, labels, *options)
            return [lambda: objectives.generator_terms(G, D, *args)]

        tensors = (inputs.latents, inputs.labels, *(inputs.augment or ()))
        objective = Objective(G, self._state.G_opt, parts, tensors, (), Stream.G_NOISE)
        return self._compute(objective, nimg, noise_strength)

    def _compute(self, objective: Objective, nimg: tf.Tensor, noise_strength: tf.Tensor) -> Update:
        """Computes either network's gradients, averaged over micro-batches and replicas."""
        resolution_log2 = self._stage.resolution_log2
        variables = objective.network.variables_at(resolution_log2)
        if objective.network is self._state.D:
            frozen = self._state.progress.frozen_D
            variables = {name: v for name, v in variables.items() if name not in frozen}
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

        if self._is_cut:
            compute = compilation.compiled(compute)
        num_values = 1 + len(objective.statistics)
        means, found = differentiation.mean_over_parts(compute, num_parts, num_values, variables)
        return Update(variables, differentiation.average_over_replicas(found), means)

    def apply_D(self, update: Update, lrate: tf.Tensor) -> tf.Tensor:
        """Updates D, and Gs with it: -> [] bool, False if the update was skipped."""
        moves_average = self._config.training.G_smoothing_per == "D_update"

        def run(gradients: differentiation.Tensors, lrate: tf.Tensor) -> tf.Tensor:
            updated = self._state.D_opt.apply(update.variables, gradients, lrate, self._jit)
            if moves_average:
                self._move_average()
            return updated

        return self._step_program(run)(update.gradients, lrate)

    def _apply_G(self, update: Update, lrate: tf.Tensor) -> tf.Tensor:
        moves_average = self._config.training.G_smoothing_per == "G_update"

        def run(gradients: differentiation.Tensors, lrate: tf.Tensor) -> tf.Tensor:
            if moves_average:
                self._move_average()
            return self._state.G_opt.apply(update.variables, gradients, lrate, self._jit)

        return self._step_program(run)(update.gradients, lrate)

    def _move_average(self) -> None:
        averages, sources = (
            {name: network.variables_by_name[name] for name in self._averaged}
            for network in (self._state.Gs, self._state.G)
        )
        update_moving_average(averages, sources, self._config.training.G_smoothing)


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
