import json

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import exporter, open_dataset, sidecars
from pgtf.dataset.exporter import Options
from pgtf.dataset.fingerprint import fingerprint
from tests.dataset import loads
from tests.dataset.exports import files_of, interrupted, make

pytestmark = pytest.mark.usefixtures("small_tasks")


def test_a_dataset_is_written_and_described(tmp_path):
    labels = np.arange(100).reshape(50, 2)
    summary = make(tmp_path / "set", labels=labels, label_names=["a", "b"], meta={"more": 1})
    dataset = open_dataset(tmp_path / "set", max_label_size="full")
    assert (dataset.num_images, dataset.resolution, dataset.num_channels) == (50, 8, 3)
    assert (dataset.label_names, dataset.meta["more"]) == (("a", "b"), 1)
    expected = np.stack(loads.load(range(50))).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(dataset.read_images(range(50)), expected)
    np.testing.assert_array_equal(dataset.read_labels(range(50)), labels)
    assert (summary.num_images, summary.resolution, summary.label_size) == (50, 8, 2)
    assert summary.num_bytes == sum(len(content) for content in files_of(tmp_path / "set").values())
    with PIL.Image.open(summary.contact_sheet) as sheet:
        np.testing.assert_array_equal(np.asarray(sheet)[:8, 8:16], expected[1])
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert "progress.jsonl" not in files_of(tmp_path / "set")


@pytest.mark.parametrize(
    ("load", "num_workers"), [(loads.load, 3), (loads.load_but_every_seventh, 2)]
)
def test_bytes_do_not_depend_on_the_number_of_workers(load, num_workers, tmp_path):
    labels = np.arange(50)[:, np.newaxis]
    for name, workers in (("one", 1), ("more", num_workers)):
        options = Options(num_workers=workers)
        (tmp_path / name).mkdir()
        make(tmp_path / name / "set", load=load, labels=labels, max_errors=None, options=options)
    assert files_of(tmp_path / "one" / "set") == files_of(tmp_path / "more" / "set")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_rejected_items_are_passed_over_with_their_labels(num_workers, tmp_path):
    labels = np.arange(50)[:, np.newaxis]
    summary = make(
        tmp_path / "set",
        load=loads.load_but_every_seventh,
        labels=labels,
        max_errors=7,
        options=Options(num_workers),
    )
    kept = [i for i in range(50) if i % 7 != 3]
    dataset = open_dataset(tmp_path / "set", max_label_size="full")
    assert dataset.read_labels(range(len(kept)))[:, 0].tolist() == kept
    expected = np.stack(loads.load(kept)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(dataset.read_images(range(len(kept))), expected)
    assert [rejected.name for rejected in summary.rejected] == [
        f"item {i}" for i in range(3, 50, 7)
    ]


@pytest.mark.parametrize(("max_errors", "item"), [(0, 3), (1, 10), (6, 45)])
def test_one_error_too_many_ends_the_job(max_errors, item, tmp_path):
    with pytest.raises(ValueError, match=f"^item {item}: a seventh"):
        make(tmp_path / "set", load=loads.load_but_every_seventh, max_errors=max_errors)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("max_errors", [0, None])
def test_max_images_counts_what_is_written(max_errors, tmp_path):
    load = loads.load if max_errors == 0 else loads.load_but_every_seventh
    summary = make(tmp_path / "set", load=load, max_images=9, max_errors=max_errors)
    kept = [i for i in range(50) if max_errors == 0 or i % 7 != 3][:9]
    expected = np.stack(loads.load(kept)).transpose(0, 2, 3, 1)
    dataset = open_dataset(tmp_path / "set")
    np.testing.assert_array_equal(dataset.read_images(range(9)), expected)
    assert (dataset.num_images, summary.num_images) == (9, 9)
    assert len(summary.rejected) == (max_errors is None)  # item 3; item 10 comes after the ninth


def test_an_existing_target_is_refused(tmp_path):
    (tmp_path / "set").write_text("precious")
    with pytest.raises(FileExistsError, match="set: exists already"):
        make(tmp_path / "set")
    assert (tmp_path / "set").read_text() == "precious"


def test_nothing_usable_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="none of 1 images could be used; item 3: "):
        make(
            tmp_path / "set",
            num=1,
            items=[3],
            load=loads.load_but_every_seventh,
            max_errors=None,
        )
    assert list(tmp_path.iterdir()) == []


def test_no_images_at_all_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="There must be at least one image"):
        make(tmp_path / "set", num=0, labels=np.zeros(0, int))


@pytest.mark.parametrize("shape", [(3, 8, 4), (3, 6, 6), (3, 2, 2), (0, 8, 8), (65, 8, 8)])
def test_impossible_shapes_are_refused(shape, tmp_path):
    with pytest.raises(
        ValueError,
        match="must be 4x4 times a power|must have 1 to 64 channels|`resolution` must be a power",
    ):
        make(tmp_path / "set", shape=shape)


@pytest.mark.parametrize(
    "labels", [np.zeros((49, 2)), np.zeros(50), -np.ones(50, int), np.zeros((50, 2, 2))]
)
def test_labels_that_do_not_fit_are_refused(labels, tmp_path):
    with pytest.raises(ValueError, match="a row per image, 50"):
        make(tmp_path / "set", labels=labels)


def test_disk_space_is_checked_for_all_levels_and_labels(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(exporter, "check_disk_space", lambda path, size: asked.append(size))
    make(tmp_path / "set", labels=np.zeros((50, 3)))
    written = [len(v) for k, v in files_of(tmp_path / "set").items() if k.endswith(".tfrecords")]
    assert asked == [sum(written) + 50 * 3 * 4]


@pytest.mark.parametrize("max_errors", [0, None])
def test_a_resumed_job_asks_for_the_space_of_what_is_missing(max_errors, tmp_path, monkeypatch):
    load = loads.load if max_errors == 0 else loads.load_but_every_seventh
    arguments = {"labels": np.zeros((50, 3)), "max_errors": max_errors}
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, load), **arguments)
    done = 28 if max_errors == 0 else 24  # items 3, 10, 17 and 24 are not among them
    record_bytes = sum(
        path.stat().st_size // done for path in (tmp_path / "set.partial").glob("*.tfrecords")
    )
    asked = []
    monkeypatch.setattr(exporter, "check_disk_space", lambda path, size: asked.append(size))
    make(tmp_path / "set", load=load, options=Options(1, resume=True), **arguments)
    assert asked == [(50 - done) * (record_bytes + 3 * 4)]


def test_the_order_is_the_originals():
    order = np.arange(10)
    np.random.RandomState(123).shuffle(order)
    assert exporter.shuffled(10).tolist() == order.tolist() == [4, 0, 7, 5, 8, 3, 1, 6, 9, 2]


def test_class_numbers_are_stored_as_one_hot_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(sidecars, "LABEL_BYTES", 4 * 4 * 3)  # rows written three at a time
    classes = np.arange(50) % 4
    make(tmp_path / "set", labels=classes)
    codes = np.load(tmp_path / "set" / "set-rxx.labels")
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, np.eye(4)[classes])


def test_the_description_of_a_dataset_is_readable_json(tmp_path):
    make(tmp_path / "set")
    found = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert found.pop("fingerprint") == fingerprint(open_dataset(tmp_path / "set"))
    assert found == {
        "format": 1,
        "source": "test",
        "num_images": 50,
        "resolution": 8,
        "grid": [4, 4],
        "channels": 3,
        "dtype": "uint8",
        "range": [0, 255],
        "label_names": [],
    }
