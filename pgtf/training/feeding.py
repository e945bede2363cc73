"""Batches for the replicas of a strategy."""

import tensorflow as tf

from pgtf.dataset import pipeline


def iterate(strategy, dataset, call, seed):
    """Iterator over the batches of a plan.Call and those that follow: one element a replica.

    Args:
        strategy: tf.distribute strategy.
        dataset: dataset.Dataset.
        call: its first image decides the position in the order of the data.
        seed: of that order.
    """
    replica_batch = call.now.minibatch // strategy.num_replicas_in_sync

    @tf.autograph.experimental.do_not_convert  # nothing there needs it, and it takes seconds
    def batches_of_worker(context):
        worker_batches = pipeline.batches(
            dataset,
            resolution_log2=call.now.resolution.bit_length() - 1,
            minibatch=call.now.minibatch,
            seed=seed,
            position=call.nimgs[0],
            shard=(context.input_pipeline_id, context.num_input_pipelines),
        )
        # One element a replica, in the order of the replicas.
        return worker_batches.rebatch(replica_batch, drop_remainder=True).prefetch(2)

    return iter(strategy.distribute_datasets_from_function(batches_of_worker))
