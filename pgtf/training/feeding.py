"""Batches for the replicas of a strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from pgtf import ops
from pgtf.dataset import Dataset, pipeline
from pgtf.dataset.labels import LabelTable
from pgtf.training.config import RunConfig
from pgtf.training.plan import Call


def channels_first() -> bool:
    """True if reals arrive as [n, C, R, R], which a GPU transposes faster than the CPU."""
    return ops.has_gpu()


def _distributing(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """Returns the strategy that gives its replicas their minibatches.

    Its iterators copy a minibatch to a GPU while the one before is trained on. Those of the default
    strategy, which trains on one GPU, leave it on the host: each iteration would begin with a copy.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if gpus and strategy is tf.distribute.get_strategy():
        return tf.distribute.OneDeviceStrategy(gpus[0].name)
    return strategy


def iterate(
    strategy: tf.distribute.Strategy,
    dataset: Dataset,
    call: Call,
    config: RunConfig,
    labels: LabelTable | None = None,
    on_error: Callable[[Exception], None] | None = None,
) -> Iterator[Any]:
    """Returns an iterator over the minibatches from `call` on, one element per replica.

    Args:
        strategy: strategy whose replicas share a minibatch.
        dataset: images to read.
        call: planned iterations; the first one decides the position in the order of the data.
        config: whole configuration, for the seed of that order and the minibatches read ahead.
        labels: those of the dataset, when there is a table already.
        on_error: takes the error that names a record which cannot be read.
    """
    replica_batch = call.now.minibatch // strategy.num_replicas_in_sync

    @tf.autograph.experimental.do_not_convert  # nothing there needs it, and it takes seconds
    def batches_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        worker_batches = pipeline.batches(
            dataset,
            resolution_log2=call.now.resolution.bit_length() - 1,
            minibatch=call.now.minibatch,
            seed=config.training.seed,
            position=call.nimgs[0],
            shard=(context.input_pipeline_id, context.num_input_pipelines),
            prefetch=config.dataset.prefetch,
            labels=labels,
            on_error=on_error,
            channels_first=channels_first(),
        )
        # One element per replica, in the order of the replicas.
        return worker_batches.rebatch(replica_batch, drop_remainder=True).prefetch(2)

    return iter(_distributing(strategy).distribute_datasets_from_function(batches_of_worker))
