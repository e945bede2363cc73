"""Several iterations in one call of a traced function, on all replicas."""

import contextlib
import math

import numpy as np
import tensorflow as tf

from pgtf import losses
from pgtf.dataset import pipeline
from pgtf.training import randomness, step
from pgtf.training.randomness import Draw

D_STATISTICS = ("real_scores", "fake_scores", "mixed_norms")  # components of D's terms
STATISTICS = ("G_loss", "D_loss", *D_STATISTICS, "noise_strength", "skipped")
NOISE_DRAWS = 1024  # more than there are noise layers in all evaluations of D in an update


class Stepper:
    """Runs planned iterations on the state of a run.

    A function is traced once for each resolution; the iterator over the data is kept from call to
    call, and made anew when resolution or minibatch change.
    """

    def __init__(self, state, config, dataset, strategy):
        self._state = state
        self._config = config
        self._dataset = dataset
        self._strategy = strategy
        self._functions = {}
        self._iterator, self._iterator_at = None, None
        self._labels = None
        if dataset.label_size:
            self._labels = tf.constant(dataset.read_labels(range(dataset.num_images)))

    def run(self, call):
        """Runs a plan.Call: -> float64 [iterations, len(STATISTICS)], means over the minibatch.

        Raises:
            MemoryError: if the stage does not fit into the memory of a device.
        """
        try:
            return self._run(call)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(out_of_memory(call.now, self._config)) from error

    def _run(self, call):
        key = (call.now.resolution, call.now.minibatch)
        if self._iterator_at != (key, call.nimgs[0]):
            self._iterator = self._iterate(call)
        if key not in self._functions:
            numbers = [tf.TensorSpec([None], tf.int64), *[tf.TensorSpec([None], tf.float32)] * 3]
            numbers.append(tf.TensorSpec([], tf.float32))
            steps = self._function(call.now.minibatch)
            self._functions[key] = steps.get_concrete_function(self._iterator, *numbers)
        progress = self._state.progress
        numbers = (call.alphas, call.G_lrates, call.D_lrates, progress.noise_ema)
        rows, noise_ema = self._functions[key](
            self._iterator,
            tf.constant(call.nimgs, tf.int64),
            *(tf.constant(x, tf.float32) for x in numbers),
        )
        progress.noise_ema = float(noise_ema)
        self._iterator_at = (key, call.end_nimg)
        return rows.numpy().astype(np.float64)

    def _iterate(self, call):
        replica_batch = call.now.minibatch // self._strategy.num_replicas_in_sync

        def batches_of_worker(context):
            worker_batches = pipeline.batches(
                self._dataset,
                resolution_log2=call.now.resolution.bit_length() - 1,
                minibatch=call.now.minibatch,
                seed=self._config.training.seed,
                position=call.nimgs[0],
                shard=(context.input_pipeline_id, context.num_input_pipelines),
            )
            # One element a replica, in the order of the replicas.
            return worker_batches.rebatch(replica_batch, drop_remainder=True).prefetch(2)

        return iter(self._strategy.distribute_datasets_from_function(batches_of_worker))

    def _function(self, minibatch):
        replicas = self._strategy.num_replicas_in_sync
        D_repeats = self._config.training.D_repeats

        def iteration(*args):
            return self._iteration(minibatch, *args)

        def step_of_D(batch, nimg, alpha, D_lrate, noise_strength):
            _, _, update = self._update_of_D(batch, minibatch, nimg, alpha, noise_strength)
            self._apply_to_D(update, D_lrate)

        @tf.function
        def steps(iterator, nimgs, alphas, G_lrates, D_lrates, noise_ema):
            num_steps = tf.shape(nimgs)[0]
            rows = tf.TensorArray(tf.float32, num_steps, element_shape=[len(STATISTICS)])
            for i in tf.range(num_steps):
                strength = self._noise_strength(noise_ema)
                if D_repeats > 1:  # all but the last; a loop of the graph is traced once
                    for repeat in tf.range(D_repeats - 1):
                        D_nimg = nimgs[i] + tf.cast(repeat * minibatch, tf.int64)
                        args = (next(iterator), D_nimg, alphas[i], D_lrates[i], strength)
                        self._strategy.run(step_of_D, args=args)
                args = (next(iterator), nimgs[i], alphas[i], G_lrates[i], D_lrates[i], strength)
                per_replica = self._strategy.run(iteration, args=args)
                row = self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
                rows = rows.write(i, row / replicas)
                noise_ema = self._next_noise_ema(noise_ema, row / replicas)
            return rows.stack(), noise_ema

        return steps

    def _iteration(self, minibatch, batch, nimg, alpha, G_lrate, D_lrate, noise_strength):
        """The last update of D and that of G on one replica: -> [len(STATISTICS)]."""
        config, state = self._config, self._state
        simultaneous = config.training.update_order == "simultaneous"
        D_nimg = nimg + (config.training.D_repeats - 1) * minibatch
        D_means, latents, D_update = self._update_of_D(
            batch, minibatch, D_nimg, alpha, noise_strength
        )
        images, labels = batch
        if not simultaneous:
            D_updated = self._apply_to_D(D_update, D_lrate)
            latents = self._latents(minibatch, nimg, Draw.G_LATENTS)
            labels = self._labels_of_G(minibatch, nimg)
        G_means, G_update = self._update_of_G(
            images.shape[1], latents, labels, minibatch, nimg, alpha, noise_strength
        )
        if simultaneous:
            D_updated = self._apply_to_D(D_update, D_lrate)
        if config.training.G_smoothing_per == "G_update":
            self._update_average()
        G_updated = state.G_opt.apply(*G_update, G_lrate)
        skipped = 2.0 - tf.cast(G_updated, tf.float32) - tf.cast(D_updated, tf.float32)
        return tf.concat([G_means, D_means, [noise_strength], [skipped]], axis=0)

    def _apply_to_D(self, update, lrate):
        """Updates D, and Gs with it: -> whether D was updated."""
        updated = self._state.D_opt.apply(*update, lrate)
        if self._config.training.G_smoothing_per == "D_update":
            self._update_average()
        return updated

    def _update_of_D(self, batch, minibatch, nimg, alpha, noise_strength):
        """What to apply to D: -> means (loss, D_STATISTICS), latents, (variables, gradients)."""
        G, D, config = self._state.G, self._state.D, self._config
        images, labels = batch
        resolution_log2 = images.shape[1].bit_length() - 1
        mirror = None
        if config.dataset.mirror_augment:
            mirror = self._draw(randomness.uniform, [minibatch, 1, 1, 1], nimg, Draw.MIRROR)
        strict = config.dataset.strict_uint8_fade
        reals = pipeline.process_reals(images, alpha, mirror, strict_uint8=strict)
        latents = self._latents(minibatch, nimg, Draw.D_LATENTS)
        mixing = self._draw(randomness.uniform, [minibatch, 1, 1, 1], nimg, Draw.MIXING)
        variables = D.variables_at(resolution_log2)

        def part(index):
            inputs = [self._part(x, index) for x in (reals, labels, latents, mixing)]
            with self._noisy(minibatch, nimg, Draw.D_NOISE, noise_strength, index):
                terms, gradients = step.gradients_of(
                    lambda: step.discriminator_terms(G, D, *inputs, alpha, config.loss), variables
                )
            values = [terms.loss, *(terms.components[name] for name in D_STATISTICS)]
            return tf.stack([*map(tf.reduce_mean, values)]), gradients

        means, gradients = self._mean_over_parts(part, 1 + len(D_STATISTICS), variables)
        return means, latents, (variables, gradients)

    def _update_average(self):
        """Moves Gs towards G."""
        # All levels, as in the original: after `--resume_pkl`, Gs differs from G at finer ones too.
        networks = (network.variables_by_name for network in (self._state.Gs, self._state.G))
        step.update_moving_average(*networks, self._config.training.G_smoothing)

    def _labels_of_G(self, minibatch, nimg):
        """Uniform rows of the training labels, as in the original; None without labels."""
        if self._labels is None:
            return None
        which = self._draw(randomness.uniform, [minibatch], nimg, Draw.G_LABELS)
        return tf.gather(self._labels, tf.cast(which * self._labels.shape[0], tf.int64))

    def _update_of_G(self, resolution, latents, labels, minibatch, nimg, alpha, noise_strength):
        """What to apply to G: -> mean of its loss [1], (variables, gradients)."""
        G, D, config = self._state.G, self._state.D, self._config
        variables = G.variables_at(resolution.bit_length() - 1)

        def part(index):
            inputs = [None if x is None else self._part(x, index) for x in (latents, labels)]
            with self._noisy(minibatch, nimg, Draw.G_NOISE, noise_strength, index):
                terms, gradients = step.gradients_of(
                    lambda: step.generator_terms(G, D, *inputs, resolution, alpha, config.loss),
                    variables,
                )
            return tf.reduce_mean(terms.loss, keepdims=True), gradients

        means, gradients = self._mean_over_parts(part, 1, variables)
        return means, (variables, gradients)

    def _noisy(self, minibatch, nimg, purpose, strength, index):
        """Makes D noisy inside a `with`, in part `index` of the minibatch, if it has noise."""
        if self._state.D.noise is None:
            return contextlib.nullcontext()

        def draw(number, num_fmaps):
            shape, position = [minibatch, num_fmaps], nimg * NOISE_DRAWS + number
            return self._part(self._draw(randomness.normal, shape, position, purpose), index)

        return self._state.D.noise.drawing(draw, strength)

    def _noise_strength(self, noise_ema):
        if self._state.D.noise is None:
            return tf.constant(0.0)
        return losses.noise_strength(noise_ema, self._config.loss)

    def _next_noise_ema(self, noise_ema, row):
        if self._state.D.noise is None:
            return noise_ema
        signal = row[STATISTICS.index(self._config.loss.noise_signal)]
        return losses.next_noise_ema(noise_ema, signal, self._config.loss)

    def _mean_over_parts(self, part, num_values, variables):
        """Means over the parts of this replica's minibatch; the gradients' over replicas too."""
        num_parts = self._config.schedule.grad_accumulation
        means, gradients = step.mean_over_parts(part, num_parts, num_values, variables)
        return means, step.average_over_replicas(gradients)

    def _part(self, values, index):
        """A part of this replica's values, made of whole groups of D if possible: [N, ...].

        A group is every G-th of N samples (networks.MinibatchStdDev), so part p of P takes the
        groups p * G / P, ... and no group changes its members.
        """
        num_parts = self._config.schedule.grad_accumulation
        if num_parts == 1:
            return values
        size, rest = values.shape[0] // num_parts, values.shape[1:]
        group = self._config.D.group_of(size)
        parts = tf.reshape(values, [group, num_parts, size // group, *rest])
        return tf.reshape(tf.gather(parts, index, axis=1), [size, *rest])

    def _latents(self, minibatch, nimg, purpose):
        return self._draw(randomness.normal, [minibatch, self._state.G.latent_size], nimg, purpose)

    def _draw(self, distribution, shape, nimg, purpose):
        values = distribution(shape, self._config.training.seed, nimg, purpose)
        return randomness.of_this_replica(values)


def out_of_memory(now, config):
    """Says where memory ran out and which flags help."""
    schedule, size = config.schedule, now.resolution
    per_device = now.minibatch // schedule.num_gpus
    held = per_device // schedule.grad_accumulation  # at a time
    group = config.D.group_of(held)
    where = f"out of memory at {size}x{size} with a minibatch of {held} per device"
    if held == 1:
        return f"{where}: --config.schedule.max_minibatch_per_gpu cannot lower it further."
    half = held // 2 - (held // 2 % group if 1 < group < held // 2 else 0)
    caps = ",".join(f"{k}:{v}" for k, v in {**schedule.max_minibatch_per_gpu, size: half}.items())
    return (
        f"{where}. Lower it with --config.schedule.max_minibatch_per_gpu={caps} "
        f"--allow_config_change; with --grad_accumulation={math.ceil(per_device / half)} in "
        "addition, the minibatch of an update stays as it is."
    )
