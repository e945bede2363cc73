import json
import os
import pickle
import shutil

import numpy as np
import pytest
from absl import logging

from pgtf.dataset import NoDataset, open_dataset, tfrecords
from tests.dataset import original


@pytest.fixture
def folder(tmp_path):
    """A copy of the original's labelled 16x16 dataset of 10 images."""
    shutil.copytree(original.FULL / "hdf5", tmp_path / "hdf5")
    return tmp_path / "hdf5"


def test_an_original_dataset_is_described(folder):
    dataset = open_dataset(folder, max_label_size="full")
    assert (dataset.name, dataset.resolution, dataset.resolution_log2) == ("hdf5", 16, 4)
    assert (dataset.num_channels, dataset.num_images, dataset.label_size) == (3, 10, 4)
    assert (dataset.label_names, dict(dataset.meta)) == ((), {})


# The original's reader, without shuffling: the first minibatch of each request.
@pytest.mark.parametrize(
    "case", json.loads((original.DATASETS / "reader.json").read_text()), ids=str
)
def test_images_and_labels_equal_those_of_the_originals_reader(case):
    options = case["options"]
    dataset = open_dataset(
        original.FULL / case["dataset"],
        resolution=options.get("resolution"),
        max_label_size=options.get("max_label_size", 0),
    )
    assert (dataset.label_size, dataset.resolution_log2) == (
        case["label_size"],
        case["resolution_log2"],
    )
    call = case["calls"][0]
    indices = range(call["minibatch"])
    images = dataset.read_images(indices, dataset.resolution_log2 - int(call["lod"]))
    assert list(images.transpose(0, 3, 1, 2).shape) == call["image_shape"]
    assert images.sum((1, 2, 3), dtype=int).tolist() == call["image_sums"]
    assert dataset.read_labels(indices).tolist() == call["labels"]


def test_labels_are_read_by_number(folder):
    labels = np.load(folder / "hdf5-rxx.labels")
    dataset = open_dataset(folder, max_label_size=3)
    np.testing.assert_array_equal(dataset.read_labels([9, 0, 9]), labels[[9, 0, 9], :3])


def test_no_more_label_columns_are_used_than_there_are(folder):
    (folder / "dataset.json").write_text('{"label_names": ["a", "b", "c", "d"]}')
    dataset = open_dataset(folder, max_label_size=99)
    assert (dataset.label_size, dataset.label_names) == (4, ("a", "b", "c", "d"))
    (folder / "hdf5-rxx.labels").unlink()
    dataset = open_dataset(folder, max_label_size=99)
    assert (dataset.label_size, dataset.read_labels([0]).shape) == (0, (1, 0))


def test_labels_that_are_not_used_are_warned_about(folder, monkeypatch):
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda *args: warnings.append(args[0] % args[1:]))
    assert open_dataset(folder).label_size == 0
    assert len(warnings) == 1
    assert "4 label columns that are not used" in warnings[0]
    open_dataset(folder, max_label_size=0)  # deliberate: no warning
    assert len(warnings) == 1


def test_label_names_and_meta_come_from_our_own_file(folder):
    (folder / "dataset.json").write_text('{"num_images": 10, "label_names": ["a", "b", "c", "d"]}')
    assert open_dataset(folder, max_label_size=2).label_names == ("a", "b")


def test_unknown_fields_of_our_own_file_are_kept(folder):
    (folder / "dataset.json").write_text('{"format": 1, "later": [1, 2]}')
    assert dict(open_dataset(folder, max_label_size=0).meta) == {"format": 1, "later": [1, 2]}


def test_files_that_macos_adds_are_passed_over(folder):
    before = open_dataset(folder, max_label_size="full")
    for name in ("._hdf5-r04.tfrecords", "._hdf5-rxx.labels", "._dataset.json", ".DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    after = open_dataset(folder, max_label_size="full")
    assert (after.num_images, after.label_size) == (before.num_images, before.label_size)
    assert after.files == before.files


def test_the_folder_may_be_renamed(folder):
    folder.rename(folder.parent / "other")
    assert open_dataset(folder.parent / "other", max_label_size=0).name == "other"


def delete_r03(folder):
    (folder / "hdf5-r03.tfrecords").unlink()


def truncate_r04(folder):
    with open(folder / "hdf5-r04.tfrecords", "r+b") as file:
        file.truncate(5000)


def drop_a_record_of_r02(folder):
    with open(folder / "hdf5-r02.tfrecords", "r+b") as file:
        file.truncate(9 * 98)


def drop_a_record_of_each(folder):
    (folder / "dataset.json").write_text('{"num_images": 10}')
    (folder / "hdf5-rxx.labels").unlink()
    for path in folder.glob("*.tfrecords"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 10 * 9])


def name_fewer_images(folder):
    (folder / "dataset.json").write_text('{"num_images": 9}')


def exchange_levels(folder):
    shutil.copy(folder / "hdf5-r02.tfrecords", folder / "hdf5-r03.tfrecords")


def gray_level(folder):
    records = tfrecords.to_records(np.zeros((10, 1, 8, 8), np.uint8))
    (folder / "hdf5-r03.tfrecords").write_bytes(records.tobytes())


def second_dataset(folder):
    shutil.copy(folder / "hdf5-r02.tfrecords", folder / "other-r02.tfrecords")


def replace_labels(array):
    def spoil(folder):
        with open(folder / "hdf5-rxx.labels", "wb") as file:
            np.save(file, array)

    return spoil


def truncate_labels(folder):
    with open(folder / "hdf5-rxx.labels", "r+b") as file:
        file.truncate(200)


def text_labels(folder):
    (folder / "hdf5-rxx.labels").write_text("0 1 2")


def bad_meta(folder):
    (folder / "dataset.json").write_text("{")


def pipe_for_meta(folder):
    (folder / "dataset.json").unlink(missing_ok=True)
    os.mkfifo(folder / "dataset.json")


def meta(text):
    return lambda folder: (folder / "dataset.json").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (delete_r03, r"hdf5: the file of resolution 8, hdf5-r03.tfrecords, is missing"),
        (
            truncate_r04,
            r"hdf5-r04.tfrecords record 6 \(offset \d+\): the file ends within the record",
        ),
        (drop_a_record_of_r02, r"hdf5-r02.tfrecords: must hold as many records .* 9, not 10"),
        (drop_a_record_of_each, r"hdf5-r04.tfrecords: must hold the 10 images .* 9 records"),
        (name_fewer_images, r"hdf5-r04.tfrecords: must hold the 9 images .* 10 records"),
        (exchange_levels, r"hdf5-r03.tfrecords record 0 \(offset 0\): must have shape \[3, 8, 8\]"),
        (gray_level, r"hdf5-r03.tfrecords record 0 \(offset 0\): must have shape \[3, 8, 8\]"),
        (second_dataset, r"hdf5: must hold one dataset. Received: \['hdf5', 'other'\]"),
        (replace_labels(np.zeros((9, 4))), r"hdf5-rxx.labels: .* 9 rows for 10 images"),
        (replace_labels(np.zeros(10)), r"hdf5-rxx.labels: must be .*matrix.*shape=\(10,\)"),
        (replace_labels(np.full((10, 1), "a")), r"hdf5-rxx.labels: must be .*dtype=<U1"),
        (truncate_labels, r"hdf5-rxx.labels: the file is truncated"),
        (text_labels, r"hdf5-rxx.labels: not a NumPy array file"),
        (bad_meta, r"dataset.json: not JSON"),
        (pipe_for_meta, r"dataset.json: not JSON"),
        (meta('{"mirror": 1}'), r"dataset.json: `mirror` must be true or false. Received: 1"),
        (meta('{"mirror": null}'), r"dataset.json: `mirror` must be true or false. .* null"),
        (meta('{"format": 2}'), r"dataset.json: `format` must be 1 to 1. Received: 2. A newer"),
        (meta('{"format": true}'), r"dataset.json: `format` must be 1 to 1. Received: true"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(spoil, message, folder):
    spoil(folder)
    with pytest.raises(ValueError, match=message) as caught:
        open_dataset(folder, max_label_size=0)
    assert "\n" not in str(caught.value)


def test_no_folder_and_no_dataset_are_told_apart(tmp_path):
    with pytest.raises(OSError, match="nowhere: no such dataset folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(NoDataset, match="no dataset in it") as caught:
        open_dataset(tmp_path)
    assert isinstance(caught.value, ValueError)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.path == str(tmp_path)
        assert str(error).startswith(f"{tmp_path}: ")


@pytest.mark.parametrize("resolution", [32, 12, 2])
def test_a_resolution_that_is_not_there_is_refused(resolution, folder):
    with pytest.raises(ValueError, match=rf"\[4, 8, 16\].*resolution={resolution}"):
        open_dataset(folder, resolution=resolution, max_label_size=0)


def test_a_negative_label_size_is_refused(folder):
    with pytest.raises(ValueError, match="Received: -1"):
        open_dataset(folder, max_label_size=-1)
