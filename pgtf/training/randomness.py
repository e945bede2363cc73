"""All random numbers of training, as pure functions of (seed, images shown, purpose)."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import tensorflow as tf


class Stream(enum.IntEnum):
    """Independent streams of random numbers, one per purpose."""

    D_LATENTS = 0
    MIXING = 1
    MIRROR = 2
    G_LATENTS = 3
    G_LABELS = 4
    GRID_LATENTS = 5
    D_NOISE = 6
    G_NOISE = 7


_NUM_STREAMS = 16  # per seed: room for more purposes without moving the existing ones


def normal(shape: Sequence[int], seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    """Samples standard normal values, float32."""
    return tf.random.stateless_normal(shape, _key(seed, nimg, purpose), alg="philox")


def uniform(shape: Sequence[int], seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    """Samples uniform values in [0, 1), float32."""
    return tf.random.stateless_uniform(shape, _key(seed, nimg, purpose), alg="philox")


def of_this_replica(values: tf.Tensor) -> tf.Tensor:
    """Selects this replica's part of values for the global minibatch: [N, ...] -> [N / R, ...].

    Sampling for all replicas and keeping a part makes the numbers independent of their count.
    """
    context = tf.distribute.get_replica_context()
    count = values.shape[0] // context.num_replicas_in_sync
    start = context.replica_id_in_sync_group * count
    return tf.ensure_shape(values[start : start + count], [count, *values.shape[1:]])


def _key(seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    return tf.stack([tf.constant(seed * _NUM_STREAMS + purpose, tf.int64), tf.cast(nimg, tf.int64)])
