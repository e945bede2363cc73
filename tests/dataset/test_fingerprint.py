"""Fingerprints: equal for equal content wherever it lies, different for other content."""

import json
import os
import shutil

import numpy as np
import pytest

from pgtf.dataset import fingerprint as fingerprints
from pgtf.dataset import open_dataset
from pgtf.dataset.fingerprint import agree, difference, fingerprint, seen_by_networks
from pgtf.dataset.tfrecords import open_records, to_records

NUM_IMAGES = 300


@pytest.fixture
def folder(tmp_path):
    """A labelled dataset of 300 images of 8x8."""
    path, rng = tmp_path / "random", np.random.default_rng(1)
    path.mkdir()
    for log2 in (2, 3):
        images = rng.integers(0, 256, (NUM_IMAGES, 3, 1 << log2, 1 << log2), np.uint8)
        (path / f"random-r{log2:02d}.tfrecords").write_bytes(to_records(images).tobytes())
    with open(path / "random-rxx.labels", "wb") as file:
        np.save(file, rng.normal(size=(NUM_IMAGES, 8)).astype(np.float32))
    return path


def of(path, **options):
    return fingerprint(open_dataset(path, **({"max_label_size": "full"} | options)))


def edit(path, change):
    """Rewrites a level file after `change(images)`."""
    file = open_records(str(path))
    images = file.read(range(file.num_records))
    path.write_bytes(to_records(change(images)).tobytes())


def invert(index):
    def change(images):
        images[index] ^= 255
        return images

    return change


def test_a_copy_under_other_names_with_other_times_and_description_is_equal(folder, tmp_path):
    other = tmp_path / "elsewhere" / "17"
    other.mkdir(parents=True)
    for name in os.listdir(folder):
        shutil.copyfile(folder / name, other / name.replace("random", "other"))
    (other / "dataset.json").write_text('{"mirror": true}')
    assert of(other) == of(folder)
    assert of(folder).keys() == {"4x4", "8x8", "labels"}


@pytest.mark.parametrize("index", [0, 1, 150, NUM_IMAGES - 1])
@pytest.mark.parametrize("log2", [2, 3])
def test_any_image_that_changed_in_a_small_file_is_noticed(folder, log2, index):
    before = of(folder)
    edit(folder / f"random-r{log2:02d}.tfrecords", invert(index))
    side = 1 << log2
    assert {part for part, value in of(folder).items() if value != before[part]} == {
        f"{side}x{side}"
    }
    assert not agree(of(folder), before)


def test_the_order_of_the_images_counts(folder):
    before = of(folder)
    edit(folder / "random-r03.tfrecords", lambda images: images[::-1].copy())
    assert not agree(of(folder), before)


def test_a_label_that_changed_is_noticed_where_labels_are_used(folder):
    before, without = of(folder), of(folder, max_label_size=0)
    labels = np.load(folder / "random-rxx.labels")
    labels[77, 3] += 1
    with open(folder / "random-rxx.labels", "wb") as file:
        np.save(file, labels)
    assert not agree(of(folder), before)
    assert of(folder, max_label_size=0) == without


def test_of_large_files_the_ends_and_evenly_spaced_records_are_compared(folder, monkeypatch):
    monkeypatch.setattr(fingerprints, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(fingerprints, "LABEL_BYTES", 64)
    before, path = of(folder), folder / "random-r03.tfrecords"
    noticed = []
    for index in range(NUM_IMAGES):
        edit(path, invert(index))
        if of(folder) != before:
            noticed.append(index)
        edit(path, invert(index))
    assert len(noticed) == 64
    assert (noticed[0], noticed[-1]) == (0, NUM_IMAGES - 1)
    assert set(np.diff(noticed)) == {4, 5}


def test_only_parts_in_common_are_compared_and_at_least_one(folder):
    assert agree(of(folder), of(folder, resolution=4, max_label_size=0))
    assert not agree({"4x4": "a"}, {"8x8": "a"})
    assert not agree({}, {})


def described(path, **facts):
    """Returns the parts of a dataset's identity if its dataset.json states these facts."""
    (path / "dataset.json").write_text(json.dumps(facts))
    return seen_by_networks(open_dataset(path, max_label_size="full"))


def test_datasets_of_8_bits_and_one_class_have_no_other_parts_than_those_of_their_files(folder):
    for facts in (
        {},
        {"range": [0, 4095]},
        {"label_groups": [{"kind": "class", "columns": [0, 8]}]},
    ):
        assert described(folder, **facts) == of(folder)
    assert {name: value[:8] for name, value in of(folder).items()} == {
        "4x4": "4c31f0ef",
        "8x8": "8e9c163f",
        "labels": "0d255d7e",
    }


def test_the_range_of_other_values_and_the_meaning_of_labels_are_parts_of_their_own(folder):
    for log2 in (2, 3):
        edit(folder / f"random-r{log2:02d}.tfrecords", lambda images: images.astype(np.float32))
    facts = {"dtype": "float32", "range": [0, 255]}
    group = {"kind": "continuous", "columns": [0, 8], "mean": [0.5] * 8, "deviation": [2] * 8}
    before = described(folder, **facts)
    assert before == of(folder) | {"range": "[0.0, 255.0]"}
    assert described(folder, **facts | {"range": [0.0, 255.0], "preview": "0"}) == before
    other = described(folder, **facts | {"range": [0, 100]})
    assert not agree(before, other)
    assert difference(before, other) == (
        "another `range` in dataset.json (now [0.0, 100.0], then [0.0, 255.0])"
    )
    numbers = described(folder, **facts, label_groups=[group])
    assert numbers.keys() - before.keys() == {"label_groups"}
    changed = [
        {"kind": "multilabel"},
        {"mean": [0.5] * 7 + [0.25]},
        {"deviation": [2] * 7 + [1]},
    ]
    for change in changed:
        found = described(folder, **facts, label_groups=[group | change])
        assert difference(numbers, found) == "another `label_groups` in dataset.json"
    assert described(folder, **facts, label_groups=[group | {"names": list("abcdefgh")}]) == numbers
    assert difference(numbers, other | {"8x8": "x"}) == "other images"
    findings = {"kind": "multilabel", "columns": [0, 8]}  # Moments of numbers alone are used.
    plain, moments = ([findings], [group | findings])
    assert described(folder, **facts, label_groups=plain) == described(
        folder, **facts, label_groups=moments
    )


def test_one_class_that_becomes_findings_is_noticed_where_labels_are_used(folder):
    before, without = described(folder), of(folder, max_label_size=0)
    after = described(folder, label_groups=[{"kind": "multilabel", "columns": [0, 8]}])
    assert difference(before, after) == "another `label_groups` in dataset.json"
    assert difference(after, before) == "another `label_groups` in dataset.json"
    assert not agree(before, after)
    assert agree(without, after)


def test_facts_and_labels_in_common_do_not_make_two_grids_one_dataset():
    assert not agree(
        {"4x4": "a", "range": "r", "labels": "l"}, {"5x4": "b", "range": "r", "labels": "l"}
    )
