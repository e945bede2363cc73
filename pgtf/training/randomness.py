"""Everything random in training, as a pure function of (seed, images shown, purpose)."""

import enum

import tensorflow as tf


class Draw(enum.IntEnum):
    """What a draw is for; each purpose has its own stream."""

    D_LATENTS = 0
    MIXING = 1
    MIRROR = 2
    G_LATENTS = 3
    G_LABELS = 4
    GRID_LATENTS = 5
    D_NOISE = 6
    G_NOISE = 7


_NUM_STREAMS = 16  # streams a seed: room for more purposes without moving the existing ones


def normal(shape, seed, nimg, purpose):
    """Standard normal values, float32; `nimg` may be a tensor."""
    return tf.random.stateless_normal(shape, _key(seed, nimg, purpose), alg="philox")


def uniform(shape, seed, nimg, purpose):
    """Values in [0, 1), float32; `nimg` may be a tensor."""
    return tf.random.stateless_uniform(shape, _key(seed, nimg, purpose), alg="philox")


def of_this_replica(values):
    """This replica's part of values drawn for the global minibatch: [N, ...] -> [N / R, ...].

    Drawing for all and keeping a part makes the numbers independent of the number of replicas.
    """
    context = tf.distribute.get_replica_context()
    count = values.shape[0] // context.num_replicas_in_sync
    start = context.replica_id_in_sync_group * count
    return tf.ensure_shape(values[start : start + count], [count, *values.shape[1:]])


def _key(seed, nimg, purpose):
    return tf.stack([tf.constant(seed * _NUM_STREAMS + purpose, tf.int64), tf.cast(nimg, tf.int64)])
