"""The order of the records: a permutation per epoch that can be evaluated anywhere."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

ROUNDS = 6  # rounds of the Feistel network; 4 suffice if the round functions are ideal


def record_order(seed: int, positions: Any, num_images: int) -> tf.Tensor:
    """Record numbers at the given positions of the shuffled stream: int [n] -> int64 [n]."""
    positions = tf.cast(positions, tf.int64)
    epochs = tf.cast(positions // num_images, tf.uint64)
    places = tf.cast(positions % num_images, tf.uint64)
    end = tf.constant(num_images, tf.uint64)

    def walk(records: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        records = tf.where(found, records, _permute(records, epochs, seed, num_images))
        return records, records < end

    # Cycle walking: permute until the result is a record; under 4 turns on average.
    records, _ = tf.while_loop(
        lambda _, found: tf.logical_not(tf.reduce_all(found)),
        walk,
        (places, tf.zeros_like(places, tf.bool)),
    )
    return tf.cast(records, tf.int64)


@functools.lru_cache(maxsize=8)
def traced_order(seed: int, num_images: int) -> Any:
    """Returns `record_order` for int64 positions as a function that is traced once per process.

    Each dataset of tf.data would trace its hundreds of operations anew, in a third of a second.
    """
    return tf.function(
        lambda positions: record_order(seed, positions, num_images),
        input_signature=[tf.TensorSpec([None], tf.int64)],
        autograph=False,
    )


def _permute(places: tf.Tensor, epochs: tf.Tensor, seed: int, num_images: int) -> tf.Tensor:
    """Permutes the smallest range 0 .. 4^k - 1 that holds num_images, per seed and epoch.

    A balanced Feistel network (Luby and Rackoff 1988): each round XORs a hash of one half of the
    bits onto the other. uint64 [n] -> uint64 [n].
    """
    xor, both = tf.bitwise.bitwise_xor, tf.bitwise.bitwise_and
    num_bits = ((num_images - 1).bit_length() + 1) // 2
    half, mask = _constant(num_bits), _constant((1 << num_bits) - 1)
    left, right = tf.bitwise.right_shift(places, half), both(places, mask)
    key = _mix(xor(epochs, _mix(_constant(seed))))
    for _ in range(ROUNDS):
        key = _mix(key)
        left, right = right, xor(left, both(_mix(xor(right, key)), mask))
    return tf.bitwise.left_shift(left, half) + right


def _mix(x: tf.Tensor) -> tf.Tensor:
    """Applies SplitMix64's step (Steele et al. 2014), a pseudo-random bijection of uint64."""
    x += _constant(0x9E3779B97F4A7C15)
    x = _xor_shifted(x, 30) * _constant(0xBF58476D1CE4E5B9)
    x = _xor_shifted(x, 27) * _constant(0x94D049BB133111EB)
    return _xor_shifted(x, 31)


def _xor_shifted(x: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _constant(bits)))


def _constant(value: int) -> tf.Tensor:
    return tf.constant(value % (1 << 64), tf.uint64)
