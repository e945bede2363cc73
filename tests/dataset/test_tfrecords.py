import os
import time

import numpy as np
import pytest
import tensorflow as tf

from pgtf.dataset import tfrecords
from tests.dataset import original

ORIGINALS = sorted(original.FULL.glob("*/*.tfrecords"))


def write(path, images):
    path.write_bytes(tfrecords.to_records(images).tobytes())
    return str(path)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 3, 8, 8), np.uint8)


def test_there_are_originals():
    assert ORIGINALS


@pytest.mark.parametrize("path", ORIGINALS, ids=lambda path: path.name)
def test_the_originals_images_written_anew_are_its_records_with_sorted_keys(path, tmp_path):
    file = tfrecords.open_records(str(path))
    images = file.read(range(file.num_records))
    write(tmp_path / path.name, images)
    facts = original.EXPECTED[path.parent.name]["files"][path.name]
    assert original.payload_sha256(tmp_path / path.name) == facts["sorted_key_payload_sha256"]
    assert (tmp_path / path.name).stat().st_size == facts["size"]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 4), (3, 32, 32), (3, 128, 128)])
def test_tensorflow_reads_our_records(shape, tmp_path, rng):
    images = rng.integers(0, 256, (3, *shape), np.uint8)
    path = write(tmp_path / "x", images)
    for image, record in zip(images, tf.data.TFRecordDataset(path), strict=True):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        assert list(feature["shape"].int64_list.value) == list(shape)
        assert feature["data"].bytes_list.value[0] == image.tobytes()


def test_records_are_read_in_any_order(images, tmp_path):
    file = tfrecords.open_records(write(tmp_path / "x", images))
    assert (file.shape, file.num_records) == ((3, 8, 8), 5)
    np.testing.assert_array_equal(file.read([4, 0, 0, 2]), images[[4, 0, 0, 2]])
    np.testing.assert_array_equal(file.read(range(5)), images)


def test_records_with_shape_before_data_are_read(images, tmp_path):
    at = tfrecords.layout((3, 8, 8), data_first=False)
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        for image in images:
            writer.write(at.prefix[tfrecords.HEADER :] + image.tobytes() + at.suffix)
    file = tfrecords.open_records(str(tmp_path / "x"))
    np.testing.assert_array_equal(file.read(range(5)), images)


@pytest.mark.parametrize("offset", [0, 9, 14, 60, 250, 259])  # length, CRC, keys, pixels, CRC
def test_one_wrong_byte_is_found_and_located(offset, images, tmp_path):
    path = write(tmp_path / "x", images)
    file = tfrecords.open_records(path)
    size = tfrecords.layout((3, 8, 8)).record_size
    data = bytearray((tmp_path / "x").read_bytes())
    data[3 * size + offset % size] ^= 4
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=rf"x record 3 \(offset {3 * size}\): damaged"):
        file.read([1, 3])


def test_a_file_truncated_while_open_is_found(images, tmp_path):
    file = tfrecords.open_records(write(tmp_path / "x", images))
    with open(file.path, "r+b") as handle:
        handle.truncate(300)
    with pytest.raises(
        ValueError, match=r"x record 2 \(offset \d+\): the file ends within the record"
    ):
        file.read([2])


def example(**features):
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


FOREIGN = {
    "another key": example(image=feature(b"abc"), shape=feature([1, 1, 3])),
    "a third key": example(data=feature(b"abc"), shape=feature([3, 1, 1]), label=feature([1])),
    "a wrong shape": example(data=feature(b"abc"), shape=feature([3, 2, 2])),
    "two dimensions": example(data=feature(b"abcd"), shape=feature([2, 2])),
    "shape as bytes": example(data=feature(b"abc"), shape=feature(b"abc")),
    "no Example": b"\x0b\xff\xff",
    "an empty record": b"",
}


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_foreign_records_are_refused(name, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(FOREIGN[name])
    with pytest.raises(ValueError, match=r"x record 0 \(offset 0\): "):
        tfrecords.open_records(str(tmp_path / "x"))


def field(number, content):
    return tfrecords._field(number, content)


def of_shape(*shape, data=b""):
    """A record whose `shape` and `data` may be anything, packed by hand."""
    packed = b"".join(tfrecords._varint(size) for size in shape)
    shape_entry = field(1, b"shape") + field(2, field(3, field(1, packed)))
    data_entry = field(1, b"data") + field(2, field(1, field(1, data)))
    return field(1, field(1, data_entry) + field(1, shape_entry))


HOSTILE = {
    "a varint of a megabyte": b"\x0a" + (1 << 20) * b"\x80",
    "a tag of a megabyte": (1 << 20) * b"\xff",
    "a million features": field(1, 1_000_000 * b"\x0a\x00"),
    "a million sizes": of_shape(*1_000_000 * [1]),
    "2^60 channels": of_shape(1 << 60, 1, 1),
    "2^63 pixels": of_shape(3, 1 << 31, 1 << 31),
    "4 channels": of_shape(4, 4, 4, data=bytes(64)),
    "5 channels": of_shape(5, 4, 4, data=bytes(80)),
    "no pixels": of_shape(3, 0, 0),
    "no channels": of_shape(0, 4, 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_records_are_one_line_that_names_file_and_record(name, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(HOSTILE[name])
    start = time.process_time()
    with pytest.raises(ValueError, match=r"/x record 0 \(offset 0\): ") as caught:
        tfrecords.open_records(str(tmp_path / "x"))
    assert len(str(caught.value)) < 400
    assert time.process_time() - start < 1


def test_the_length_of_a_record_is_compared_with_the_file_before_it_is_read(tmp_path):
    """A sparse file could be a gigabyte long and take no space."""
    length = (1 << 30).to_bytes(8, "little")
    crc = tfrecords.masked_crc32c(np.frombuffer(length, np.uint8)[np.newaxis]).tobytes()
    (tmp_path / "x").write_bytes(length + crc + bytes(100))
    with pytest.raises(ValueError, match=r"x record 0 \(offset 0\): the file ends .* 112 bytes"):
        tfrecords.open_records(str(tmp_path / "x"))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(ValueError, match="x: must be a regular file"):
        tfrecords.open_records(str(tmp_path / "x"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x: no record in it. Received: 0 bytes"),
        (
            b"\x89PNG\r\n\x1a\n" + bytes(50),
            r"x record 0 \(offset 0\): not a TFRecord file, or damaged",
        ),
        (bytes(50), r"x record 0 \(offset 0\): not a TFRecord file, or damaged"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        tfrecords.open_records(str(tmp_path / "x"))


@pytest.mark.parametrize(("size", "record"), [(100, 0), (259, 1), (5 * 247 - 1, 4)])
def test_truncated_files_are_refused(size, record, images, tmp_path):
    path = write(tmp_path / "x", images)
    assert tfrecords.layout((3, 8, 8)).record_size == 247
    with open(path, "r+b") as file:
        file.truncate(size)
    with pytest.raises(
        ValueError, match=rf"x record {record} \(offset {247 * record}\): the file ends"
    ):
        tfrecords.open_records(path)
