"""Several iterations in one call of a traced function, on all replicas."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf import losses
from pgtf.dataset import Dataset
from pgtf.dataset.labels import LabelTable
from pgtf.training import augmentation, compilation, feeding, memory
from pgtf.training.adaptive_noise import AdaptiveNoise
from pgtf.training.config import RunConfig
from pgtf.training.plan import Call
from pgtf.training.state import TrainingState
from pgtf.training.updates import Stage, Updates, statistics_of


class Stepper:
    """Runs planned iterations on the state of a run.

    It traces one function for each fade and one for the stable phase after it, and keeps the
    iterator over the data from call to call until resolution or minibatch change.

    Attributes:
        statistics: names of the columns that `run` returns.
        augmentation: augmentation of what D sees, or None.
    """

    def __init__(
        self,
        state: TrainingState,
        config: RunConfig,
        dataset: Dataset,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self.statistics = statistics_of(losses.build(config.loss))
        self._state, self._config = state, config
        self._dataset, self._strategy = dataset, strategy
        self._labels = LabelTable(dataset)
        self._noise = AdaptiveNoise(state.D, config.loss)
        self.augmentation = augmentation.build(config, strategy)
        self._functions: dict[Stage, Callable[..., Any]] = {}
        self._ran: set[Stage] = set()
        self._read_errors: list[Exception] = []
        self._iterator: Iterator[Any] | None = None
        self._iterator_at: tuple[tuple[int, int], int] | None = None

    def is_new(self, call: Call) -> bool:
        """True if the call is the first of its stage, which is traced and compiled for it."""
        return _stage(call) not in self._functions

    def run(self, call: Call) -> np.ndarray:
        """Runs planned iterations: -> float64 [iterations, len(statistics)], minibatch means.

        Raises:
            MemoryError: if the stage does not fit into the memory of a device.
            OSError, ValueError: if a record cannot be read, or is damaged; names it.
            ValueError: if XLA cannot compile the stage.
        """
        try:
            return self._run(call)
        except tf.errors.OpError as error:
            if self._read_errors:
                raise self._read_errors[0] from error
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise MemoryError(memory.out_of_memory(call.now, self._config)) from error
            is_compiled = compilation.is_used(self._config.training.jit)
            if is_compiled and _stage(call) not in self._ran:
                raise ValueError(compilation.failure(call.now.resolution, error)) from error
            raise

    def _run(self, call: Call) -> np.ndarray:
        shape = (call.now.resolution, call.now.minibatch)
        if self._iterator_at != (shape, call.nimgs[0]):
            self._iterator = feeding.iterate(
                self._strategy,
                self._dataset,
                call,
                self._config,
                self._labels,
                self._read_errors.append,
            )
        stage = _stage(call)
        if stage not in self._functions:
            self._functions[stage] = self._trace(stage)
        progress = self._state.progress
        if self.augmentation is not None:
            self.augmentation.set_p(progress.augment.p)
        numbers = (call.alphas, call.G_lrates, call.D_lrates, progress.noise_ema)
        rows, noise_ema = self._functions[stage](
            self._iterator,
            tf.constant(call.nimgs, tf.int64),
            *(tf.constant(x, tf.float32) for x in numbers),
        )
        progress.noise_ema = float(noise_ema)
        self._ran.add(stage)
        self._iterator_at = (shape, call.end_nimg)
        return rows.numpy().astype(np.float64)

    def _trace(self, stage: Stage) -> Callable[..., Any]:
        fade = ", fading in" if stage.fading else ""
        jit = compilation.is_used(self._config.training.jit)
        how = " with XLA" if jit else ""
        size = self._config.G.base.size_text(stage.resolution)
        logging.info("Compiling %s%s%s ...", size, fade, how)
        updates = self._updates(stage, jit)
        numbers = [tf.TensorSpec([None], tf.int64), *[tf.TensorSpec([None], tf.float32)] * 3]
        numbers.append(tf.TensorSpec([], tf.float32))
        with _no_garbage_collection():
            return self._function(stage, updates).get_concrete_function(self._iterator, *numbers)

    def _updates(self, stage: Stage, jit: bool) -> Updates:
        replicas = self._strategy.num_replicas_in_sync
        args = (self._state, self._config, self._noise, self._labels, stage, jit, replicas)
        return Updates(*args, self._dataset.value_range, self.augmentation)

    def _function(self, stage: Stage, updates: Updates) -> Any:
        replicas = self._strategy.num_replicas_in_sync
        D_repeats = self._config.training.D_repeats

        # Loops are written out, because AutoGraph would take half a second to convert them.
        @tf.function(autograph=False)
        def steps(
            iterator: Any,
            nimgs: tf.Tensor,
            alphas: tf.Tensor,
            G_lrates: tf.Tensor,
            D_lrates: tf.Tensor,
            noise_ema: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor]:
            num_steps = tf.shape(nimgs)[0]

            def step(i: tf.Tensor, rows: tf.TensorArray, ema: tf.Tensor) -> tuple[Any, ...]:
                strength = self._noise.strength(ema)

                def repeat_D(repeat: tf.Tensor) -> tuple[tf.Tensor]:
                    D_nimg = nimgs[i] + tf.cast(repeat * stage.minibatch, tf.int64)
                    numbers = (D_nimg, alphas[i], D_lrates[i], strength)
                    self._strategy.run(updates.update_D, args=(iterator.get_next(), *numbers))
                    return (repeat + 1,)

                if D_repeats > 1:  # all but the last
                    tf.while_loop(lambda repeat: repeat < D_repeats - 1, repeat_D, (0,))
                numbers = (nimgs[i], alphas[i], G_lrates[i], D_lrates[i], strength)
                args = (iterator.get_next(), *numbers)
                per_replica = self._strategy.run(updates.iteration, args=args)
                row = self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
                means = dict(zip(self.statistics, tf.unstack(row / replicas), strict=True))
                return i + 1, rows.write(i, row / replicas), self._noise.next_ema(ema, means)

            rows = tf.TensorArray(tf.float32, num_steps, element_shape=[len(self.statistics)])
            _, rows, noise_ema = tf.while_loop(
                lambda i, *_: i < num_steps, step, (0, rows, noise_ema)
            )
            return rows.stack(), noise_ema

        return steps


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Context manager for tracing, whose many new objects would make Python look for garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _stage(call: Call) -> Stage:
    return Stage(call.now.resolution, call.now.minibatch, fading=min(call.alphas) < 1)
