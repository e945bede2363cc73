"""Files -> minibatches, in an order that is a pure function of (seed, position).

Positions count images: position p belongs to epoch p // n, and each epoch reads the n records in
another order. That order is a permutation that can be evaluated anywhere, so there is no shuffle
buffer, nothing to save, and memory does not depend on the size of the dataset.
Everything runs inside tf.data: no Python thread can slow training down or outlive it. Python reads
only the records that TensorFlow could not read: again, since the disk may have recovered, or to say
which record is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.dataset.folder import Dataset
from pgtf.dataset.labels import LabelTable
from pgtf.dataset.tfrecords import RecordFile
from pgtf.images import DRANGE, UINT8_DRANGE, adjust_drange

NUM_READERS = 4  # Reading so many chunks in parallel hides the latency of disks.
MAX_BUFFER = 1 << 18  # bytes read at once
CHUNK_BYTES = 1 << 22  # A chunk has so many bytes or less, but at least one record.
CHUNK_RECORDS = 64  # the most records in a chunk: the first minibatch waits for a whole one
ROUNDS = 6  # rounds of the Feistel network; 4 suffice if the round functions are ideal


def record_order(seed: int, positions: Any, num_images: int) -> tf.Tensor:
    """Record numbers at the given positions of the shuffled stream: int [n] -> int64 [n]."""
    positions = tf.cast(positions, tf.int64)
    epochs = tf.cast(positions // num_images, tf.uint64)
    places = tf.cast(positions % num_images, tf.uint64)
    end = tf.constant(num_images, tf.uint64)

    def walk(records: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.where(records < end, records, _permute(records, epochs, seed, num_images)),)

    # Cycle walking: permute until the result is a record; under 4 turns on average.
    (records,) = tf.while_loop(
        lambda records: tf.reduce_any(records >= end),
        walk,
        (_permute(places, epochs, seed, num_images),),
    )
    return tf.cast(records, tf.int64)


def batches(
    dataset: Dataset,
    *,
    resolution_log2: int,
    minibatch: int,
    seed: int,
    position: int = 0,
    shard: tuple[int, int] = (0, 1),
    prefetch: int = 4,
    labels: LabelTable | None = None,
    on_error: Callable[[Exception], None] | None = None,
) -> tf.data.Dataset:
    """Endless shuffled minibatches of one pyramid level and their labels.

    Args:
        dataset: from `open_dataset`.
        resolution_log2: which level to read.
        minibatch: global minibatch, over all shards.
        seed: seed of the order.
        position: images already shown; any value continues the stream that starts at 0.
        shard: (index, count): deliver only slice `index` of the `count` equal slices of every
            minibatch, so that `count` readers together read what one would.
        prefetch: minibatches read ahead.
        labels: the dataset's table if it exists already; None = make one.
        on_error: takes the OSError or ValueError that names a record which cannot be read. The
            consumer gets it as one of tf.errors, inside TensorFlow's own text.

    Returns:
        Elements (uint8 images [n, R, R, C], float32 labels [n, L]), n = minibatch / count; L may
        be 0. An unreadable or damaged record raises tf.errors.OpError when it is reached.

    Raises:
        ValueError: the level does not exist, or the minibatch cannot be divided.
    """
    if resolution_log2 not in dataset.files:
        raise ValueError(
            f"`resolution_log2` must be one of {sorted(dataset.files)} in {dataset.path}. "
            f"Received: resolution_log2={resolution_log2}."
        )
    if dataset.first_image:
        raise ValueError(f"{dataset.path}: held-out images must not be trained on.")
    file = dataset.files[resolution_log2]
    num = _shard_size(minibatch, shard)
    order = _positions(minibatch, position, shard).map(
        lambda positions: record_order(seed, positions, dataset.num_images)
    )
    images = _read(file, order, on_error).rebatch(num, drop_remainder=True)
    table = LabelTable(dataset) if labels is None else labels
    rows = order.map(
        lambda records: tf.ensure_shape(table.gather(records), [num, table.label_size])
    )
    return tf.data.Dataset.zip((images, rows)).prefetch(prefetch)


def process_reals(
    images: Any, alpha: Any, mirror_uniform: Any = None, *, strict_uint8: bool = False
) -> tf.Tensor:
    """Reals as D sees them: uint8 [N, R, R, C] -> float32 of the same shape in [-1, 1].

    Args:
        images: one pyramid level.
        alpha: scalar, weight of the finer level; below 1 the images fade into their own 2x2 box
            averages.
        mirror_uniform: [N] uniform draws in [0, 1); images with u >= 0.5 are flipped, none when
            None.
        strict_uint8: round faded pixels down to integers, as the original Theano release.
    """
    x = tf.cast(images, tf.float32)
    if not strict_uint8:
        x = adjust_drange(x, UINT8_DRANGE, DRANGE)
    if mirror_uniform is not None:
        flip = tf.reshape(mirror_uniform, [-1, 1, 1, 1]) >= 0.5
        x = tf.where(flip, tf.reverse(x, [2]), x)
    num, side, channels = tf.shape(x)[0], x.shape[1], x.shape[3]
    blocks = tf.reshape(x, [num, side // 2, 2, side // 2, 2, channels])
    box = tf.reduce_mean(blocks, [2, 4], keepdims=True)
    x = blocks + (box - blocks) * (1.0 - tf.cast(alpha, tf.float32))
    if strict_uint8:
        x = adjust_drange(tf.floor(x), UINT8_DRANGE, DRANGE)
    return tf.reshape(x, [num, side, side, channels])


def _shard_size(minibatch: int, shard: tuple[int, int]) -> int:
    index, count = shard
    if minibatch < 1 or minibatch % count or not 0 <= index < count:
        raise ValueError(
            "`minibatch` must be a positive multiple of the number of shards. "
            f"Received: minibatch={minibatch}, shard={shard}."
        )
    return minibatch // count


def _positions(minibatch: int, position: int, shard: tuple[int, int]) -> tf.data.Dataset:
    """Positions of one shard's slice of each minibatch: endless int64 [n]."""
    num = _shard_size(minibatch, shard)
    starts = tf.data.Dataset.counter(position + shard[0] * num, minibatch)
    return starts.map(lambda start: start + tf.range(num, dtype=tf.int64))


def _read(
    file: RecordFile, order: tf.data.Dataset, on_error: Callable[[Exception], None] | None
) -> tf.data.Dataset:
    """Reads records in order, in chunks: int64 [k] each -> uint8 [chunk, H, W, C] each."""
    num = max(min(CHUNK_BYTES // file.record_size, CHUNK_RECORDS), 1)
    return (
        order.unbatch()
        .batch(num, drop_remainder=True)
        .interleave(
            lambda records: _read_chunk(file, records, num, on_error),
            cycle_length=NUM_READERS,
            num_parallel_calls=NUM_READERS,
            deterministic=True,
        )
    )


def _read_chunk(
    file: RecordFile,
    records: tf.Tensor,
    num: int,
    on_error: Callable[[Exception], None] | None,
) -> tf.data.Dataset:
    """Reads a chunk of records: int64 [num] -> dataset of one uint8 [num, H, W, C]."""

    @tf.autograph.experimental.do_not_convert
    def read_again(indices: np.ndarray) -> np.ndarray:
        try:
            return file.read(indices).transpose(0, 2, 3, 1)
        except (OSError, ValueError) as error:
            if on_error is not None:
                on_error(error)
            raise

    def first(numbers: tf.Tensor) -> tf.Tensor:
        examples = tf.data.Dataset.from_tensor_slices(numbers).flat_map(
            lambda record: _read_example(file, record)
        )
        return _decode(file, examples.batch(num).get_single_element())

    def again(numbers: tf.Tensor) -> tf.Tensor:
        channels, *size = file.shape
        found = tf.numpy_function(read_again, [numbers], tf.uint8)
        return tf.ensure_shape(found, [num, *size, channels])

    one = tf.data.Dataset.from_tensors(records)
    # A failed map has consumed its element, so each way is tried once.
    return one.map(first).ignore_errors().concatenate(one.map(again)).take(1)


def _read_example(file: RecordFile, record: tf.Tensor) -> tf.data.Dataset:
    """Reads the serialized Example of one record, and checks its CRC."""
    size = file.record_size
    handle = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file.path],
        compression_type="",
        buffer_size=min(size, MAX_BUFFER),
        byte_offsets=[record * size],
    )
    return tf.data.experimental.from_variant(handle, tf.TensorSpec([], tf.string)).take(1)


def _decode(file: RecordFile, records: tf.Tensor) -> tf.Tensor:
    """Serialized Examples [n] -> uint8 [n, H, W, C]."""
    features = tf.io.parse_example(records, {"data": tf.io.FixedLenFeature([], tf.string)})
    pixels = tf.io.decode_raw(features["data"], tf.uint8)
    return tf.transpose(tf.reshape(pixels, [-1, *file.shape]), [0, 2, 3, 1])


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
