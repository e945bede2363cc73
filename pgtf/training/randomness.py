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
    D_AUGMENT_UNIFORM = 8
    D_AUGMENT_NORMAL = 9
    G_AUGMENT_UNIFORM = 10
    G_AUGMENT_NORMAL = 11


_NUM_STREAMS = 16  # per seed: room for more purposes without moving the existing ones


def normal(shape: Sequence[int], seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    """Samples standard normal values, float32."""
    return tf.random.stateless_normal(shape, _key(seed, nimg, purpose), alg="philox")


def uniform(shape: Sequence[int], seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    """Samples uniform values in [0, 1), float32."""
    return tf.random.stateless_uniform(shape, _key(seed, nimg, purpose), alg="philox")


class Sampler:
    """Random numbers for this replica's samples, in replica context.

    It samples for the global minibatch and keeps a part, so that the numbers do not depend on the
    number of replicas.
    """

    def __init__(self, seed: int, minibatch: int) -> None:
        """Stores the seed of the run and the global minibatch."""
        self._seed, self._minibatch = seed, minibatch

    def normal(self, shape: Sequence[int], nimg: tf.Tensor, purpose: Stream) -> tf.Tensor:
        """Standard normal values: -> [replica batch, *shape] float32."""
        return of_this_replica(normal([self._minibatch, *shape], self._seed, nimg, purpose))

    def uniform(self, shape: Sequence[int], nimg: tf.Tensor, purpose: Stream) -> tf.Tensor:
        """Uniform values in [0, 1): -> [replica batch, *shape] float32."""
        return of_this_replica(uniform([self._minibatch, *shape], self._seed, nimg, purpose))


def of_this_replica(values: tf.Tensor) -> tf.Tensor:
    """Selects this replica's part of values for the global minibatch: [N, ...] -> [N / R, ...]."""
    context = tf.distribute.get_replica_context()
    count = values.shape[0] // context.num_replicas_in_sync
    start = context.replica_id_in_sync_group * count
    return tf.ensure_shape(values[start : start + count], [count, *values.shape[1:]])


def _key(seed: int, nimg: int | tf.Tensor, purpose: Stream) -> tf.Tensor:
    return tf.stack([tf.constant(seed * _NUM_STREAMS + purpose, tf.int64), tf.cast(nimg, tf.int64)])
