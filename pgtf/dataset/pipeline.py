"""Files -> minibatches, in an order that is a pure function of (seed, position).

Positions count images: position p belongs to epoch p // n, and each epoch reads the n records in
another order. That order is a permutation that can be evaluated anywhere, so there is no shuffle
buffer and nothing to save. Levels of small images are held in memory, because opening a file takes
longer than reading 4x4 pixels; the memory for other levels does not depend on the dataset's size.
Everything runs inside tf.data: no Python thread can slow training down or outlive it. Python reads
only the records that TensorFlow could not read: again, since the disk may have recovered, or to say
which record is damaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.dataset.folder import Dataset
from pgtf.dataset.labels import LabelTable
from pgtf.dataset.order import traced_order
from pgtf.dataset.tfrecords import RecordFile
from pgtf.images import DRANGE, UINT8_DRANGE, adjust_drange, tensor_to_model

NUM_READERS = 4  # Reading so many chunks in parallel hides the latency of disks.
MAX_BUFFER = 1 << 18  # bytes read at once
CHUNK_BYTES = 1 << 22  # A chunk has so many bytes or less, but at least one record,
MINIBATCH_BYTES = 1 << 24  # or one minibatch of at most so many bytes.
CHUNK_RECORDS = 64  # the most records in a chunk: the first minibatch waits for a whole one
BLOCK_POSITIONS = 1 << 12  # The order is computed for so many positions at once.
HELD_IMAGE_BYTES = 1 << 12  # A level is held in memory if its images are at most this large,
HELD_BYTES = 1 << 28  # and all of them together at most this large.


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
    channels_first: bool = False,
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
        channels_first: deliver [n, C, H, W], as on disk. A GPU transposes them while it converts
            them to float32; a core takes longer for that than for reading them.

    Returns:
        Elements (images [n, H, W, C] of the dataset's type, float32 labels [n, L]), n = minibatch /
        count; L may be 0. An unreadable or damaged record raises tf.errors.OpError when it is
        reached.

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
    table = LabelTable(dataset) if labels is None else labels
    order = _order(dataset.num_images, minibatch, position, shard, seed)
    rows = order.map(table.gather).rebatch(num, drop_remainder=True)
    rows = rows.map(lambda labels: tf.ensure_shape(labels, [num, table.label_size]))
    held_records = dataset.num_images
    if dataset.chosen is not None:
        held_records, chosen = file.num_records, dataset.chosen
        order = order.map(lambda numbers: tf.gather(chosen, numbers))
    held = _held(file, held_records, channels_first)
    if held is None:
        images = _read(file, order, _chunk_size(file, num), on_error, channels_first)
    else:
        images = order.map(lambda records: tf.gather(held, records))
    images = images.rebatch(num, drop_remainder=True)
    return tf.data.Dataset.zip((images, rows)).prefetch(prefetch)


def process_reals(
    images: Any,
    alpha: Any,
    mirror_uniform: Any = None,
    *,
    strict_uint8: bool = False,
    value_range: tuple[float, float] = UINT8_DRANGE,
) -> tf.Tensor:
    """Reals as D sees them: stored values [N, H, W, C] -> float32 of the same shape in [-1, 1].

    Args:
        images: one pyramid level.
        alpha: scalar, weight of the finer level; below 1 the images fade into their own 2x2 box
            averages.
        mirror_uniform: [N] uniform draws in [0, 1); images with u >= 0.5 are flipped, none when
            None.
        strict_uint8: round faded pixels down to integers, as the original Theano release.
        value_range: the dataset's; it is that of uint8 where `strict_uint8` is set.
    """
    x = tf.cast(images, tf.float32) if strict_uint8 else tensor_to_model(images, value_range)
    if mirror_uniform is not None:
        flip = tf.reshape(mirror_uniform, [-1, 1, 1, 1]) >= 0.5
        x = tf.where(flip, tf.reverse(x, [2]), x)
    num, (height, width, channels) = tf.shape(x)[0], x.shape[1:]
    if height % 2 or width % 2:  # a coarsest level such as 5x4, which never fades
        return adjust_drange(x, UINT8_DRANGE, DRANGE) if strict_uint8 else x
    blocks = tf.reshape(x, [num, height // 2, 2, width // 2, 2, channels])
    box = tf.reduce_mean(blocks, [2, 4], keepdims=True)
    x = blocks + (box - blocks) * (1.0 - tf.cast(alpha, tf.float32))
    if strict_uint8:
        x = adjust_drange(tf.floor(x), UINT8_DRANGE, DRANGE)
    return tf.reshape(x, [num, height, width, channels])


def _shard_size(minibatch: int, shard: tuple[int, int]) -> int:
    index, count = shard
    if minibatch < 1 or minibatch % count or not 0 <= index < count:
        raise ValueError(
            "`minibatch` must be a positive multiple of the number of shards. "
            f"Received: minibatch={minibatch}, shard={shard}."
        )
    return minibatch // count


def _order(
    num_images: int, minibatch: int, position: int, shard: tuple[int, int], seed: int
) -> tf.data.Dataset:
    """Records of one shard's slice of each minibatch, many minibatches at once: endless int64 [k].

    Computing the order takes hundreds of small operations, whatever the number of positions.
    """
    num = _shard_size(minibatch, shard)
    per_block = max(BLOCK_POSITIONS // num, 1)  # minibatches
    starts = tf.data.Dataset.counter(position + shard[0] * num, per_block * minibatch)
    offsets = minibatch * np.arange(per_block)[:, np.newaxis] + np.arange(num)

    def block(start: tf.Tensor) -> tf.Tensor:
        positions = start + tf.constant(offsets.reshape(-1), tf.int64)
        return tf.ensure_shape(traced_order(seed, num_images)(positions), [offsets.size])

    return starts.map(block)


def _held(file: RecordFile, num_images: int, channels_first: bool) -> tf.Tensor | None:
    """Reads all images of a level, [num_images, ...]; None if they are not to be held."""
    image_bytes = math.prod(file.shape) * file.dtype.itemsize
    if image_bytes > HELD_IMAGE_BYTES or image_bytes * num_images > HELD_BYTES:
        return None
    images = np.empty((num_images, *file.shape), file.dtype)
    try:
        for start in range(0, num_images, BLOCK_POSITIONS):
            some = range(start, min(start + BLOCK_POSITIONS, num_images))
            images[some.start : some.stop] = file.read(some)
    except (OSError, ValueError):
        return None  # The record is named when it is reached.
    with tf.device("CPU:0"):
        return tf.constant(images if channels_first else images.transpose(0, 2, 3, 1))


def _chunk_size(file: RecordFile, minibatch: int) -> int:
    """Number of records that are read together: whole minibatches, unless these are too large.

    Chunks of other sizes are copied once more when they are cut into minibatches.
    """
    num = max(min(CHUNK_BYTES // file.record_size, CHUNK_RECORDS), 1)
    if num >= minibatch:
        return num - num % minibatch
    is_small = minibatch <= CHUNK_RECORDS and minibatch * file.record_size <= MINIBATCH_BYTES
    return minibatch if is_small else num


def _read(
    file: RecordFile,
    order: tf.data.Dataset,
    num: int,
    on_error: Callable[[Exception], None] | None,
    channels_first: bool,
) -> tf.data.Dataset:
    """Reads records in order, `num` at a time: -> [num, H, W, C] each, or [num, C, H, W]."""
    return order.rebatch(num, drop_remainder=True).interleave(
        lambda records: _read_chunk(
            file, tf.ensure_shape(records, [num]), on_error, channels_first
        ),
        cycle_length=NUM_READERS,
        num_parallel_calls=NUM_READERS,
        deterministic=True,
    )


def _read_chunk(
    file: RecordFile,
    records: tf.Tensor,
    on_error: Callable[[Exception], None] | None,
    channels_first: bool,
) -> tf.data.Dataset:
    """Reads a chunk of records: int64 [num] -> dataset of one [num, H, W, C]."""
    num = records.shape[0]

    @tf.autograph.experimental.do_not_convert
    def read_again(indices: np.ndarray) -> np.ndarray:
        try:
            return file.read(indices)
        except (OSError, ValueError) as error:
            if on_error is not None:
                on_error(error)
            raise

    def first(numbers: tf.Tensor) -> tf.Tensor:
        examples = tf.data.Dataset.from_tensor_slices(numbers).flat_map(
            lambda record: _read_example(file, record)
        )
        return _pixels(file, examples.batch(num).get_single_element())

    def again(numbers: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(read_again, [numbers], tf.as_dtype(file.dtype))
        return tf.ensure_shape(found, [num, *file.shape])

    one = tf.data.Dataset.from_tensors(records)
    # A failed map has consumed its element, so each way is tried once.
    one = one.map(first).ignore_errors().concatenate(one.map(again)).take(1)
    return one if channels_first else one.map(lambda x: tf.transpose(x, [0, 2, 3, 1]))


def _read_example(file: RecordFile, record: tf.Tensor) -> tf.data.Dataset:
    """Reads the serialized Example of one record, and checks its CRC."""
    size = file.record_size
    handle = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file.path],
        compression_type="",
        buffer_size=size if size <= MAX_BUFFER else 0,  # 0 reads a long record at once
        byte_offsets=[record * size],
    )
    return tf.data.experimental.from_variant(handle, tf.TensorSpec([], tf.string)).take(1)


def _pixels(file: RecordFile, records: tf.Tensor) -> tf.Tensor:
    """Serialized Examples [n] -> [n, C, H, W] of the file's type."""
    features = tf.io.parse_example(records, {"data": tf.io.FixedLenFeature([], tf.string)})
    values = tf.io.decode_raw(features["data"], tf.as_dtype(file.dtype), little_endian=True)
    return tf.reshape(values, [-1, *file.shape])
