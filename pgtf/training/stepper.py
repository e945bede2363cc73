"""Several iterations in one call of a traced function, on all replicas."""

import contextlib

import numpy as np
import tensorflow as tf

from pgtf import losses
from pgtf.dataset import pipeline
from pgtf.training import compilation, feeding, memory, randomness, step
from pgtf.training.randomness import Draw

D_STATISTICS = ("real_scores", "fake_scores", "mixed_norms")  # components of D's terms
STATISTICS = ("G_loss", "D_loss", *D_STATISTICS, "noise_strength", "skipped")
NOISE_DRAWS = 1024  # more than there are noise layers in all evaluations of D in an update


class Stepper:
    """Runs planned iterations on the state of a run.

    A function is traced once for each fade and once for what follows it; the iterator over the data
    is kept from call to call, and made anew when resolution or minibatch change.
    """

    def __init__(self, state, config, dataset, strategy):
        self._state = state
        self._config = config
        self._dataset = dataset
        self._strategy = strategy
        self._functions = {}
        # Of the function being traced: whether XLA compiles its gradients, and whether the images
        # of the resolution before are blended in.
        self._jit, self._fading = False, True
        self._is_jit_used = {}  # by resolution and minibatch
        self._averaged = {}  # names of the variables that Gs follows, by resolution
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
            raise MemoryError(memory.out_of_memory(call.now, self._config)) from error

    def _run(self, call):
        shape = (call.now.resolution, call.now.minibatch)
        if self._iterator_at != (shape, call.nimgs[0]):
            seed = self._config.training.seed
            self._iterator = feeding.iterate(self._strategy, self._dataset, call, seed)
        key = (*shape, min(call.alphas) < 1)
        if key not in self._functions:
            numbers = [tf.TensorSpec([None], tf.int64), *[tf.TensorSpec([None], tf.float32)] * 3]
            numbers.append(tf.TensorSpec([], tf.float32))
            self._fading = key[-1]
            if shape not in self._is_jit_used:
                is_used = compilation.is_used(self._config.training.jit, self._trial(*shape))
                self._is_jit_used[shape] = is_used
            self._jit = self._is_jit_used[shape]
            self._averaged[call.now.resolution] = self._names_to_average(call.now.resolution)
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
        self._iterator_at = (shape, call.end_nimg)
        return rows.numpy().astype(np.float64)

    def _function(self, minibatch):
        replicas = self._strategy.num_replicas_in_sync
        D_repeats = self._config.training.D_repeats

        # Only the loop below needs AutoGraph; it would read the source of all that is called there,
        # which takes longer than tracing it.
        @tf.autograph.experimental.do_not_convert
        def iteration(*args):
            return self._iteration(minibatch, *args)

        @tf.autograph.experimental.do_not_convert
        def step_of_D(batch, nimg, alpha, D_lrate, noise_strength):
            _, _, update = self._update_of_D(batch, minibatch, nimg, alpha, noise_strength)
            self._apply_to_D(update, D_lrate, batch[0].shape[1])

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
        images, labels = batch
        resolution = images.shape[1]
        simultaneous = config.training.update_order == "simultaneous"
        D_nimg = nimg + (config.training.D_repeats - 1) * minibatch
        D_means, latents, D_update = self._update_of_D(
            batch, minibatch, D_nimg, alpha, noise_strength
        )
        if not simultaneous:
            D_updated = self._apply_to_D(D_update, D_lrate, resolution)
            latents = self._latents(minibatch, nimg, Draw.G_LATENTS)
            labels = self._labels_of_G(minibatch, nimg)
        # G's forward pass would begin with D's, and both be in memory.
        with tf.control_dependencies([tf.group(*D_update[1].values())]):
            G_means, G_update = self._update_of_G(
                resolution, latents, labels, minibatch, nimg, alpha, noise_strength
            )
        if simultaneous:
            D_updated = self._apply_to_D(D_update, D_lrate, resolution)
        if config.training.G_smoothing_per == "G_update":
            self._update_average(resolution)
        G_updated = state.G_opt.apply(*G_update, G_lrate)
        skipped = 2.0 - tf.cast(G_updated, tf.float32) - tf.cast(D_updated, tf.float32)
        return tf.concat([G_means, D_means, [noise_strength], [skipped]], axis=0)

    def _apply_to_D(self, update, lrate, resolution):
        """Updates D, and Gs with it: -> whether D was updated."""
        updated = self._state.D_opt.apply(*update, lrate)
        if self._config.training.G_smoothing_per == "D_update":
            self._update_average(resolution)
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
        G_weights, D_weights = step.read(G, D)
        trained = {name: D_weights[name] for name in variables}
        scale = self._state.D_opt.loss_scale()
        weight = alpha if self._fading else None

        def part(index):
            inputs = [self._part(x, index) for x in (reals, labels, latents, mixing)]
            with (
                step.computing_with((G, G_weights), (D, D_weights)),
                self._noisy(minibatch, nimg, Draw.D_NOISE, noise_strength, index),
            ):
                parts = step.discriminator_parts(G, D, *inputs, weight, config.loss, scale)
                terms, gradients = step.gradients_of(parts, trained, scale)
            values = [terms.loss, *(terms.components[name] for name in D_STATISTICS)]
            return tf.stack([*map(tf.reduce_mean, values)]), gradients

        means, gradients = self._mean_over_parts(part, 1 + len(D_STATISTICS), variables)
        return means, latents, (variables, gradients)

    def _update_average(self, resolution):
        """Moves Gs towards G."""
        names, G, Gs = self._averaged[resolution], self._state.G, self._state.Gs
        networks = ({k: n.variables_by_name[k] for k in names} for n in (Gs, G))
        step.update_moving_average(*networks, self._config.training.G_smoothing)

    def _names_to_average(self, resolution):
        """Variables of Gs that move while G trains at this resolution.

        The original moves all of them. Those that G does not train and that are equal to Gs's stay
        where they are, so they are left out: finer levels, unless `--resume_pkl` brought others.
        """
        G, Gs = self._state.G, self._state.Gs
        trained, averages = G.variables_at(resolution.bit_length() - 1), Gs.variables_by_name
        return [
            name
            for name, source in G.variables_by_name.items()
            if name in trained or not np.array_equal(source.numpy(), averages[name].numpy())
        ]

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
        G_weights, D_weights = step.read(G, D)
        trained = {name: G_weights[name] for name in variables}
        scale = self._state.G_opt.loss_scale()
        weight = alpha if self._fading else None

        def part(index):
            inputs = [None if x is None else self._part(x, index) for x in (latents, labels)]
            with (
                step.computing_with((G, G_weights), (D, D_weights)),
                self._noisy(minibatch, nimg, Draw.G_NOISE, noise_strength, index),
            ):
                terms, gradients = step.gradients_of(
                    [lambda: step.generator_terms(G, D, *inputs, resolution, weight, config.loss)],
                    trained,
                    scale,
                )
            return tf.reduce_mean(terms.loss, keepdims=True), gradients

        means, gradients = self._mean_over_parts(part, 1, variables)
        return means, (variables, gradients)

    def _trial(self, resolution, minibatch):
        """For compilation.is_used: a function (jit) that computes D's gradients."""
        config = self._state.D.config
        replica_batch = minibatch // self._strategy.num_replicas_in_sync

        def gradients():
            images = tf.zeros(
                [replica_batch, resolution, resolution, config.num_channels], tf.uint8
            )
            labels = tf.zeros([replica_batch, config.label_size])
            numbers = (minibatch, tf.constant(0, tf.int64), tf.constant(1.0), tf.constant(0.0))
            _, _, (_, found) = self._update_of_D((images, labels), *numbers)
            return tf.add_n([tf.reduce_sum(gradient) for gradient in found.values()])

        functions = {
            jit: tf.function(lambda: self._strategy.run(gradients), autograph=False)
            for jit in (False, True)
        }

        def trial(jit):
            self._jit = jit
            total = functions[jit]()
            for value in self._strategy.experimental_local_results(total):
                value.numpy()

        return trial

    def _noisy(self, minibatch, nimg, purpose, strength, index):
        """Makes D noisy inside a `with`, in part `index` of the minibatch, if it has noise."""
        if self._state.D.noise is None:
            return contextlib.nullcontext()

        def draw(number, num_fmaps):
            shape, position = [minibatch, num_fmaps], nimg * NOISE_DRAWS + number
            return self._part(self._draw(randomness.normal, shape, position, purpose), index)

        return self._state.D.noise.active(draw, strength)

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
        if self._jit:
            part = tf.function(part, jit_compile=True, autograph=False)
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
