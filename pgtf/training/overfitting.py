"""D's scores of training images, held-out images and fakes, and the adaptation to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf import ops
from pgtf.augment.adaptation import SETS, Scores, next_p
from pgtf.dataset import Dataset, pipeline
from pgtf.dataset.order import record_order
from pgtf.distribution.workers import Workers
from pgtf.training import augmentation, randomness
from pgtf.training.augmentation import Augmentation, AugmentInputs
from pgtf.training.config import RunConfig
from pgtf.training.plan import Call
from pgtf.training.randomness import Sampler, Stream
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

PER_INTERVAL = 4  # measurements between two adaptations
NUM_IMAGES = 64  # images of each kind that a measurement scores
# Random numbers of measurements are those of training at numbers of images that it never reaches,
# and their order of the images is that of another seed.
_POSITION, _PART = 1 << 60, 1 << 53
_SEEDS, _PERIOD = 1 << 32, 1 << 30


class AdaptingStepper:
    """A stepper that measures overfitting at fixed numbers of images, and adapts to it.

    Calls are cut at these numbers, so that their length has no influence.

    Attributes:
        statistics: as those of the stepper.
    """

    def __init__(
        self,
        stepper: Stepper,
        state: TrainingState,
        config: RunConfig,
        datasets: tuple[Dataset, Dataset],
        workers: Workers,
    ) -> None:
        """Stores the arguments; `datasets` are training images and held-out ones."""
        self.statistics = stepper.statistics
        self._stepper, self._state, self._config = stepper, state, config.augment
        self._workers = workers
        self._every = max(config.augment.aug_interval // PER_INTERVAL, 1)
        self._measure = Measurement(state, config, datasets, stepper.augmentation)

    def is_new(self, call: Call) -> bool:
        """As Stepper.is_new."""
        return self._stepper.is_new(call)

    def run(self, call: Call) -> np.ndarray:
        """As Stepper.run."""
        rows: list[np.ndarray] = []
        left: Call | None = call
        while left is not None:
            part, *others = left.split(self._num_until_measured(left))
            rows.append(self._stepper.run(part))
            self._measure_after(part)
            left = others[0] if others else None
        return np.concatenate(rows)

    def _num_until_measured(self, call: Call) -> int:
        """Number of iterations up to the first one with a measurement, or all."""
        ends = [*call.nimgs[1:], call.end_nimg]
        for number, (start, end) in enumerate(zip(call.nimgs, ends, strict=True), 1):
            if end // self._every > start // self._every:
                return number
        return len(ends)

    def _measure_after(self, part: Call) -> None:
        start, end, progress = part.nimgs[-1], part.end_nimg, self._state.progress.augment
        if end // self._every == start // self._every:
            return

        def on_chief() -> bytes:
            return json.dumps(self._measure(part)).encode()

        # Other workers could round differently, and part ways.
        found = json.loads(self._workers.broadcast(on_chief))
        progress.add({name: Scores(*values) for name, values in found.items()})
        interval = self._config.aug_interval
        num_intervals = end // interval - start // interval
        if num_intervals:
            progress.end_interval()
            if self._config.is_adaptive:
                num_images = num_intervals * interval
                progress.p = next_p(progress.p, progress.signal_mean, num_images, self._config)


class Measurement:
    """Scores some images of each kind, as D sees them at one moment of training."""

    def __init__(
        self,
        state: TrainingState,
        config: RunConfig,
        datasets: tuple[Dataset, Dataset],
        augments: Augmentation | None,
    ) -> None:
        self._state, self._config, self._augmentation = state, config, augments
        self._datasets = datasets
        self._functions: dict[tuple[int, bool], Callable[..., tf.Tensor]] = {}

    def __call__(self, call: Call) -> dict[str, Scores]:
        """Scores images after a call, whose last image decides all random numbers."""
        key = (call.now.resolution.bit_length() - 1, call.alphas[-1] < 1)
        if key not in self._functions:
            self._functions[key] = tf.function(self._scores(*key), autograph=False)
        size = self._batch_size(call)
        alpha = tf.constant(call.alphas[-1], tf.float32)
        parts = range(-(-NUM_IMAGES // size))
        rows = [
            self._functions[key](*self._inputs(key[0], size, call.end_nimg, part), alpha)
            for part in parts
        ]
        scores = np.concatenate([row.numpy() for row in rows], axis=1)
        return {name: Scores.of(values) for name, values in zip(SETS, scores, strict=True)}

    def _batch_size(self, call: Call) -> int:
        """Images that D sees at a time: as in training, but no held-out image more than once."""
        schedule = self._config.schedule
        size = call.now.minibatch // schedule.num_gpus // schedule.grad_accumulation
        size = min(size, NUM_IMAGES, self._datasets[1].num_images)
        return size - size % self._config.D.group_of(size)

    def _inputs(self, resolution_log2: int, size: int, nimg: int, part: int) -> list[Any]:
        """Images, labels, and everything random of one batch."""
        seed, position = self._config.training.seed, _POSITION + part * _PART + nimg
        images, labels = [], []
        for dataset in self._datasets:
            # Another order of the images in each batch.
            first = (nimg + part) % _PERIOD * dataset.num_images
            where = record_order(seed + _SEEDS, first + np.arange(size), dataset.num_images)
            images.append(dataset.read_images(where.numpy(), resolution_log2))
            labels.append(dataset.read_labels(where.numpy()))
        shape = [size, self._state.G.latent_size]
        latents = randomness.normal(shape, seed, position, Stream.D_LATENTS)
        augment = None
        if self._augmentation is not None:
            sampler = Sampler(seed, size)
            augment = self._augmentation.draw(sampler, position, augmentation.STREAMS_OF_D)
        return [*images, labels[0], latents, augment]

    def _scores(self, resolution_log2: int, fading: bool) -> Callable[..., tf.Tensor]:
        G, D = self._state.G, self._state.D
        strict = self._config.dataset.strict_uint8_fade

        def scores(
            train: tf.Tensor,
            held_out: tf.Tensor,
            labels: tf.Tensor,
            latents: tf.Tensor,
            augment: AugmentInputs | None,
            alpha: tf.Tensor,
        ) -> tf.Tensor:
            """Scores [3, N]; both kinds of reals are augmented with the same numbers."""
            with ops.implementation("inference"):
                fakes = G.model(resolution_log2, fading)(G.inputs(latents, labels, alpha))
                found = []
                for reals in (train, held_out):
                    x, y = pipeline.process_reals(reals, alpha, strict_uint8=strict), fakes
                    if self._augmentation is not None and augment is not None:
                        x, y = self._augmentation.of_D(x, y, augment)
                    found.append(x)
                model = D.model(resolution_log2, fading)
                return tf.stack([model([x, alpha])[0][:, 0] for x in (*found, y)])

        return scores
