import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from pgtf.dataset import open_dataset, pipeline
from pgtf.dataset.labels import LabelTable
from pgtf.dataset.order import record_order
from pgtf.dataset.tfrecords import RecordFile, open_records, to_records
from tests.dataset import original

CASES = dict(np.load(original.ROOT / "process_reals" / "process_reals.npz"))


@pytest.fixture(scope="module")
def dataset():
    return open_dataset(original.FULL / "hdf5", max_label_size="full")  # 10 images


def take(stream, count):
    return [[part.numpy() for part in element] for element in itertools.islice(stream, count)]


def which(dataset, images, resolution_log2):
    """Record numbers of images [n, R, R, C], by their content."""
    known = dataset.read_images(range(dataset.num_images), resolution_log2)
    return [int(np.nonzero((known == image).all((1, 2, 3)))[0][0]) for image in images]


def test_a_stream_started_anywhere_continues_the_one_from_0(dataset):
    args = {"resolution_log2": 3, "minibatch": 4, "seed": 0}
    whole = take(pipeline.batches(dataset, **args), 8)
    for start in (1, 7):  # within the first epoch of 10 images, and in the third
        (part,) = take(pipeline.batches(dataset, **args, position=4 * start), 1)
        np.testing.assert_array_equal(part[0], whole[start][0])
        np.testing.assert_array_equal(part[1], whole[start][1])


def test_another_minibatch_shows_the_same_images_in_the_same_order(dataset):
    args = {"resolution_log2": 2, "seed": 0}
    fours = take(pipeline.batches(dataset, minibatch=4, **args), 6)
    sixes = take(pipeline.batches(dataset, minibatch=6, **args), 4)
    for part in (0, 1):
        np.testing.assert_array_equal(
            np.concatenate([element[part] for element in fours]),
            np.concatenate([element[part] for element in sixes]),
        )


@pytest.mark.parametrize("resolution_log2", [2, 3, 4])
def test_images_come_in_record_order_with_their_own_labels(dataset, resolution_log2):
    stream = pipeline.batches(dataset, resolution_log2=resolution_log2, minibatch=5, seed=9)
    (images, labels), (more, _) = take(stream, 2)
    side = 1 << resolution_log2
    assert (images.shape, images.dtype) == ((5, side, side, 3), np.uint8)
    records = record_order(9, np.arange(10), 10).numpy()
    assert which(dataset, np.concatenate([images, more]), resolution_log2) == records.tolist()
    np.testing.assert_array_equal(labels, dataset.read_labels(records[:5]))


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_shards_together_read_what_one_reader_would(dataset, count):
    args = {"resolution_log2": 2, "minibatch": 8, "seed": 1, "position": 8}
    whole = take(pipeline.batches(dataset, **args), 3)
    shards = [take(pipeline.batches(dataset, **args, shard=(i, count)), 3) for i in range(count)]
    for step in range(3):
        for part in (0, 1):
            joined = np.concatenate([shard[step][part] for shard in shards])
            np.testing.assert_array_equal(joined, whole[step][part])


def test_labels_are_there_even_when_none_are_used():
    unlabelled = open_dataset(original.FULL / "images-gray")
    ((images, labels),) = take(
        pipeline.batches(unlabelled, resolution_log2=2, minibatch=3, seed=0), 1
    )
    assert (images.shape, labels.shape, labels.dtype) == ((3, 4, 4, 1), (3, 0), np.float32)
    assert LabelTable(unlabelled).gather(tf.range(7)).shape == (7, 0)


def test_images_as_on_disk_are_the_same_images(dataset):
    options = {"resolution_log2": 4, "minibatch": 4, "seed": 2}
    for images, labels in take(pipeline.batches(dataset, **options), 2):
        assert (images.shape, labels.shape[0]) == ((4, 16, 16, 3), 4)
    theirs = take(pipeline.batches(dataset, **options, channels_first=True), 2)
    ours = take(pipeline.batches(dataset, **options), 2)
    for (images, _), (expected, _) in zip(theirs, ours, strict=True):
        np.testing.assert_array_equal(images, expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("channels_first", [False, True])
def test_held_levels_and_levels_read_record_by_record_give_the_same(
    dataset, monkeypatch, channels_first
):
    """Across blocks of the order and chunks of records, whose sizes divide nothing here."""
    monkeypatch.setattr(pipeline, "BLOCK_POSITIONS", 9)
    monkeypatch.setattr(pipeline, "CHUNK_RECORDS", 2)
    options = {"resolution_log2": 3, "minibatch": 6, "seed": 4, "channels_first": channels_first}
    options |= {"shard": (1, 2), "position": 5}
    held = take(pipeline.batches(dataset, **options), 9)
    monkeypatch.setattr(pipeline, "HELD_BYTES", 10 * 8 * 8 * 3 - 1)
    read = take(pipeline.batches(dataset, **options), 9)
    positions = 5 + 3 + 6 * np.arange(9)[:, None] + np.arange(3)
    records = record_order(4, positions.reshape(-1), 10).numpy().reshape(9, 3)
    for ours, theirs, numbers in zip(held, read, records, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
        np.testing.assert_array_equal(ours[1], dataset.read_labels(numbers))


def test_small_images_are_read_once(dataset, monkeypatch):
    """Opening a file for each 4x4 image would take 0.1 ms."""
    stream = pipeline.batches(dataset, resolution_log2=2, minibatch=10, seed=0, prefetch=0)
    monkeypatch.setattr(RecordFile, "read", None)
    monkeypatch.setattr(pipeline, "_read_example", None)
    assert len(take(stream, 3)) == 3


@pytest.mark.parametrize(
    ("side", "minibatch", "num"),
    [(1024, 4, 4), (1024, 32, 1), (512, 4, 4), (256, 8, 16), (128, 16, 64), (64, 60, 60)],
)
def test_records_are_read_in_whole_minibatches_where_16_mib_hold_one(side, minibatch, num):
    file = RecordFile("large-r00.tfrecords", (3, side, side), 100)
    assert pipeline._chunk_size(file, minibatch) == num
    assert num % minibatch == 0 or minibatch * file.record_size > 2**24


def test_minibatches_of_chunks_larger_than_they_are_come_in_order(dataset, monkeypatch):
    options = {"resolution_log2": 3, "minibatch": 3, "seed": 4}
    expected = take(pipeline.batches(dataset, **options), 7)
    monkeypatch.setattr(pipeline, "HELD_BYTES", 0)
    assert pipeline._chunk_size(dataset.files[3], 3) == 63
    for chunk in (7, 2):
        monkeypatch.setattr(pipeline, "CHUNK_RECORDS", chunk)
        for ours, theirs in zip(
            take(pipeline.batches(dataset, **options), 7), expected, strict=True
        ):
            np.testing.assert_array_equal(ours[0], theirs[0])


def test_a_damaged_record_stops_the_stream(dataset, tmp_path):
    for path in (original.FULL / "hdf5").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = bytearray((tmp_path / "hdf5-r03.tfrecords").read_bytes())
    data[247 * 4 + 100] ^= 1
    (tmp_path / "hdf5-r03.tfrecords").write_bytes(data)
    spoilt = open_dataset(tmp_path, max_label_size=0)
    errors = []
    stream = pipeline.batches(
        spoilt, resolution_log2=3, minibatch=10, seed=0, on_error=errors.append
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"r03.tfrecords record 4 .*damaged"):
        take(stream, 1)
    assert {type(error) for error in errors} == {ValueError}
    (message,) = set(map(str, errors))
    assert message.startswith(f"{tmp_path}/hdf5-r03.tfrecords record 4 (offset 988): damaged")


def test_a_chunk_that_could_not_be_read_for_a_moment_is_read_again(dataset, monkeypatch):
    options = {"resolution_log2": 3, "minibatch": 5, "seed": 9}
    monkeypatch.setattr(pipeline, "CHUNK_RECORDS", 3)
    monkeypatch.setattr(pipeline, "HELD_BYTES", 0)
    expected = take(pipeline.batches(dataset, **options), 6)
    read_example, again = pipeline._read_example, []

    def elsewhere(file, record):
        """TensorFlow finds no file for the last record."""
        path = tf.where(record == dataset.num_images - 1, f"{file.path}.gone", file.path)
        return read_example(dataclasses.replace(file, path=path), record)

    def read(file, indices):
        again.append(list(indices))
        return RecordFile_read(file, indices)

    RecordFile_read = RecordFile.read
    monkeypatch.setattr(pipeline, "_read_example", elsewhere)
    monkeypatch.setattr(RecordFile, "read", read)
    found = take(pipeline.batches(dataset, **options, prefetch=0), 6)
    for (images, labels), (expected_images, expected_labels) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)
    assert len(again) >= 3  # once per epoch
    assert all(len(chunk) == 3 and dataset.num_images - 1 in chunk for chunk in again)


@pytest.mark.parametrize("record", [683, 1399])
def test_records_beyond_2_and_4_gib_are_read(dataset, tmp_path, record):
    """The file has holes: it takes the disk space of the two records that are written."""
    num, shape = 1400, (3, 1024, 1024)
    image = np.random.default_rng(record).integers(0, 256, shape, np.uint8)
    content = to_records(image[np.newaxis]).tobytes()
    assert record * len(content) >= 2**31
    assert 1399 * len(content) >= 2**32
    path = tmp_path / "large-r10.tfrecords"
    with open(path, "wb") as file:
        file.write(to_records(np.zeros((1, *shape), np.uint8)).tobytes())
        file.seek(record * len(content))
        file.write(content)
        file.truncate(num * len(content))
    levels = {10: open_records(str(path))}
    large = dataclasses.replace(dataset, num_images=num, files=levels, label_size=0)
    (position,) = np.nonzero(record_order(0, np.arange(num), num).numpy() == record)[0]
    stream = pipeline.batches(
        large, resolution_log2=10, minibatch=1, seed=0, position=int(position), prefetch=0
    )
    ((images, _),) = take(stream, 1)
    np.testing.assert_array_equal(images[0], image.transpose(1, 2, 0))


def test_a_label_table_gives_the_rows_of_the_files_and_holds_each_distinct_one_once(dataset):
    table = LabelTable(dataset)
    records = [9, 0, 0, 5]
    np.testing.assert_array_equal(table.gather(tf.constant(records)), dataset.read_labels(records))
    distinct = np.unique(dataset.read_labels(range(10)), axis=0)
    assert (table.num_images, table.label_size) == (10, distinct.shape[1])
    assert table._rows.shape == distinct.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minibatch": 6, "shard": (0, 4)}, r"minibatch=6, shard=\(0, 4\)"),
        ({"minibatch": 0}, "minibatch=0"),
        ({"minibatch": 4, "shard": (2, 2)}, r"shard=\(2, 2\)"),
        ({"minibatch": 4, "resolution_log2": 5}, r"\[2, 3, 4\].*resolution_log2=5"),
    ],
)
def test_impossible_requests_are_refused(dataset, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipeline.batches(dataset, **{"resolution_log2": 2, "seed": 0} | arguments)


REALS = sorted(key.removesuffix("/in") for key in CASES if key.endswith("/in"))


def test_there_are_reals():
    assert REALS


@pytest.mark.parametrize("case", REALS)
@pytest.mark.parametrize("mirror", [False, True])
def test_reals_equal_the_originals(case, mirror):
    (lod,) = (lod for lod in CASES["lods"] if f"lod{lod:.3f}" in case)
    images = CASES[f"{case}/in"].transpose(0, 2, 3, 1)
    uniform = CASES["mirror_uniform"] if mirror else None
    alpha = 1 - (lod - np.floor(lod))
    reals = tf.function(pipeline.process_reals)(images, tf.constant(alpha), uniform).numpy()
    factor = 1 << int(lod)
    enlarged = reals.repeat(factor, 1).repeat(factor, 2).transpose(0, 3, 1, 2)
    expected = CASES[f"{case}/out_mirror" if mirror else f"{case}/out"]
    np.testing.assert_allclose(enlarged, expected, rtol=0, atol=1e-6)


def test_a_draw_of_one_half_flips_and_the_one_below_does_not():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
    below = np.nextafter(np.float32(0.5), np.float32(0))
    reals = pipeline.process_reals(np.repeat(image, 2, 0), 1.0, np.float32([0.5, below])).numpy()
    np.testing.assert_array_equal(reals[0], reals[1, :, ::-1])
    assert (reals[0] != reals[1]).any()


def test_strict_fading_cuts_grey_levels_as_the_theano_release_did(rng):
    images = rng.integers(0, 256, (3, 8, 8, 2), np.uint8)
    mirror = np.float32([0.1, 0.7, 0.4])
    x = images.astype(np.float64)
    x[1] = x[1, :, ::-1]
    box = x.reshape(3, 4, 2, 4, 2, 2).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    expected = (x + (box - x) * 0.75).astype(np.uint8)  # truncates
    reals = pipeline.process_reals(images, 0.25, mirror, strict_uint8=True).numpy()
    np.testing.assert_allclose(reals, expected / np.float32(127.5) - 1, rtol=0, atol=1e-6)
    plain = pipeline.process_reals(images, 0.25, mirror).numpy()
    assert np.mean(plain - reals) * 127.5 == pytest.approx(0.4, abs=0.15)


def test_strict_fading_changes_nothing_where_nothing_fades(rng):
    images = rng.integers(0, 256, (3, 8, 8, 2), np.uint8)
    strict = pipeline.process_reals(images, 1.0, strict_uint8=True)
    np.testing.assert_allclose(strict, pipeline.process_reals(images, 1.0), rtol=0, atol=1e-6)
