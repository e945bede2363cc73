import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import exporter, open_dataset, partial, sidecars
from pgtf.dataset.exporter import Options, export
from tests.dataset import loads

JOB = {"command": "test"}


def make(path, num=50, load=loads.load, **arguments):
    settings = {"items": range(num), "num_items": num, "shape": loads.SHAPE, "job": JOB}
    settings["options"] = Options(num_workers=1)
    return export(str(path), load=load, **settings | arguments)


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    """Several tasks, and a journal line after each, even for a few small images."""
    monkeypatch.setattr(exporter, "BYTES_PER_WORKER", 1)
    monkeypatch.setattr(exporter, "MAX_CHUNK", 4)
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0)


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


def interrupted(at, load):
    """A `load` that is interrupted when it meets item `at`, in this process."""

    def load_until(items):
        if at in items:
            raise KeyboardInterrupt
        return load(items)

    return load_until


@pytest.mark.parametrize("at", [5, 23, 49])
@pytest.mark.parametrize("load", [loads.load, loads.load_but_every_seventh])
def test_an_interrupted_job_is_resumed_to_the_same_bytes(at, load, tmp_path):
    max_errors = 0 if load is loads.load else None
    arguments = {"labels": np.arange(50)[:, np.newaxis], "max_errors": max_errors}
    (tmp_path / "whole").mkdir()
    whole = make(tmp_path / "whole" / "set", load=load, **arguments)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(at, load), **arguments)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["set.partial", "whole"]
    seen = []

    def watched(items):
        seen.extend(items)
        return load(items)

    options = Options(num_workers=1, resume=True)
    summary = make(tmp_path / "set", load=watched, options=options, **arguments)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    assert seen == list(range(at // 4 * 4, 50))  # nothing twice, in tasks of 4
    assert summary.rejected == whole.rejected


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_killed_job_is_resumed_to_the_same_bytes(num_workers, tmp_path):
    code = (
        "import os, signal, sys\n"
        "from pgtf.dataset import exporter, partial\n"
        "from tests.dataset import test_exporter as t\n"
        "exporter.BYTES_PER_WORKER, exporter.MAX_CHUNK, partial.CHECKPOINT_SECONDS = 1, 4, 0\n"
        "def items():\n"
        "    for i in range(200):\n"
        "        if i == 120: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        yield i\n"
        "options = t.Options(int(sys.argv[2]))\n"
        "t.make(sys.argv[1], num=200, items=items(), options=options)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set", str(num_workers)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["set.partial"]
    make(tmp_path / "set", num=200, options=Options(num_workers, resume=True))
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set", num=200)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


def test_a_crash_that_tore_the_files_costs_only_what_was_not_synced(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    folder = tmp_path / "set.partial"
    with open(folder / "set-r03.tfrecords", "r+b") as file:
        file.truncate(247 * 10 + 100)  # the last lines of the journal are not true any more
    with open(folder / "progress.jsonl", "a") as file:
        file.write('{"items": 36, "rec')
    make(tmp_path / "set", options=Options(1, resume=True))
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set")
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


def test_what_was_written_but_not_counted_is_cut_off(tmp_path):
    """Workers write ahead of the count; after a rejected item fewer records may follow."""
    arguments = {"load": loads.load_but_every_seventh, "max_errors": None}
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", **arguments | {"load": interrupted(30, arguments["load"])})
    for path in (tmp_path / "set.partial").glob("*.tfrecords"):
        with open(path, "ab") as file:
            file.write(bytes(100_000))
    make(tmp_path / "set", options=Options(1, resume=True), **arguments)
    (tmp_path / "whole").mkdir()
    make(tmp_path / "whole" / "set", **arguments)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")


def test_an_interrupted_job_is_not_taken_up_unasked(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    with pytest.raises(FileExistsError, match="an interrupted job left it. Add --resume"):
        make(tmp_path / "set")


@pytest.mark.parametrize("change", [{"num": 51}, {"job": {"command": "other"}}, {"max_images": 40}])
def test_another_job_is_not_resumed(change, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "set", load=interrupted(30, loads.load))
    with pytest.raises(ValueError, match="the interrupted job was another one"):
        make(tmp_path / "set", options=Options(1, resume=True), **change)


def test_a_job_that_failed_at_once_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="item 3"):
        make(tmp_path / "set", load=loads.load_but_every_seventh)
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_do_not_write_the_same_folder(tmp_path):
    target = str(tmp_path / "set")
    with partial.PartialFolder(target, {"a": 10}, JOB, resume=False):
        with pytest.raises(FileExistsError, match="another process is writing it"):
            partial.PartialFolder(target, {"a": 10}, JOB, resume=True)


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


@pytest.mark.parametrize("shape", [(3, 8, 4), (3, 6, 6), (3, 2, 2), (2, 8, 8), (4, 8, 8)])
def test_impossible_shapes_are_refused(shape, tmp_path):
    with pytest.raises(
        ValueError,
        match="must be square and have 1 or 3 channels|`resolution` must be a power of two",
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
    monkeypatch.setattr(exporter, "_check_disk_space", lambda path, size: asked.append(size))
    make(tmp_path / "set", labels=np.zeros((50, 3)))
    written = [len(v) for k, v in files_of(tmp_path / "set").items() if k.endswith(".tfrecords")]
    assert asked == [sum(written) + 50 * 3 * 4]


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
    assert json.loads((tmp_path / "set" / "dataset.json").read_text()) == {
        "num_images": 50,
        "resolution": 8,
        "num_channels": 3,
        "label_names": [],
    }
