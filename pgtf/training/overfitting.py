"""D's scores of training images, held-out images and fakes, and the adaptation to them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pgtf import ops
from pgtf.augment.adaptation import SETS, Scores, next_p
from pgtf.dataset import Dataset, pipeline
from pgtf.dataset.order import record_order
from pgtf.distribution.workers import Workers
from pgtf.training import randomness
from pgtf.training.augmentation import STREAMS_OF_D, Augmentation
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
        self._functions: dict[tuple[int, bool, int], Callable[..., tf.Tensor]] = {}

    def __call__(self, call: Call) -> dict[str, Scores]:
        """Scores images after a call, whose last image decides all random numbers."""
        size = self._batch_size(call)
        key = (call.now.resolution.bit_length() - 1, call.alphas[-1] < 1, size)
        if key not in self._functions:
            self._functions[key] = tf.function(self._scores(*key), autograph=False)
        num_parts = -(-NUM_IMAGES // size)
        reals = [self._reals(x, key[0], size, call.end_nimg, num_parts) for x in self._datasets]
        alpha, rows = tf.constant(call.alphas[-1], tf.float32), []
        for part in range(num_parts):
            position = tf.constant(_POSITION + part * _PART + call.end_nimg, tf.int64)
            (train, labels), (held_out, _) = ((x[part], y[part]) for x, y in reals)
            rows.append(self._functions[key](train, held_out, labels, position, alpha).numpy())
        scores = np.concatenate(rows, axis=1)
        return {name: Scores.of(values) for name, values in zip(SETS, scores, strict=True)}

    def _batch_size(self, call: Call) -> int:
        """Images that D sees at a time: as in training, but no held-out image more than once."""
        schedule = self._config.schedule
        size = call.now.minibatch // schedule.num_gpus // schedule.grad_accumulation
        size = min(size, NUM_IMAGES, self._datasets[1].num_images)
        return size - size % self._config.D.group_of(size)

    def _reals(
        self, dataset: Dataset, resolution_log2: int, size: int, nimg: int, num_parts: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads images and labels of all batches: -> [parts, size, ...] both."""
        # Another order of the images in each batch.
        firsts = (nimg + np.arange(num_parts)[:, None]) % _PERIOD * dataset.num_images
        positions = (firsts + np.arange(size)).reshape(-1)
        seed = self._config.training.seed + _SEEDS
        where = record_order(seed, positions, dataset.num_images).numpy()
        found = (dataset.read_images(where, resolution_log2), dataset.read_labels(where))
        images, labels = (x.reshape(num_parts, size, *x.shape[1:]) for x in found)
        return images, labels

    def _scores(self, resolution_log2: int, fading: bool, size: int) -> Callable[..., tf.Tensor]:
        G, D, augmentation = self._state.G, self._state.D, self._augmentation
        seed = self._config.training.seed
        strict = self._config.dataset.strict_uint8_fade
        value_range = self._datasets[0].value_range

        def scores(
            train: tf.Tensor,
            held_out: tf.Tensor,
            labels: tf.Tensor,
            position: tf.Tensor,
            alpha: tf.Tensor,
        ) -> tf.Tensor:
            """Scores [3, N]; both kinds of reals are augmented with the same numbers."""
            latents = randomness.normal([size, G.latent_size], seed, position, Stream.D_LATENTS)
            numbers = None
            if augmentation is not None:
                numbers = augmentation.draw(Sampler(seed, size), position, STREAMS_OF_D)
            with ops.implementation("inference"):
                fakes = G.model(resolution_log2, fading)(G.inputs(latents, labels, alpha))
                found, y = [], fakes
                for reals in (train, held_out):
                    x = pipeline.process_reals(
                        reals, alpha, strict_uint8=strict, value_range=value_range
                    )
                    if augmentation is not None and numbers is not None:
                        x, y = augmentation.of_D(x, fakes, numbers)
                    found.append(x)
                model = D.model(resolution_log2, fading)
                return tf.stack([model([x, alpha])[0][:, 0] for x in (*found, y)])

        return scores
