"""dataset.json: what is written, what is refused, what is kept."""

import json

import numpy as np
import pytest

from pgtf.dataset import inspection, open_dataset
from pgtf.dataset.description import read_description
from pgtf.dataset.fingerprint import fingerprint
from pgtf.dataset.label_groups import label_groups
from tests.dataset.exports import make

GROUP = {"kind": "class", "columns": [0, 3], "names": ["a", "b", "c"]}


def read(tmp_path, **fields):
    (tmp_path / "dataset.json").write_text(json.dumps(fields))
    return read_description(str(tmp_path))


GOOD = {
    "format": 1,
    "source": "create_from_images",
    "fingerprint": {"4x4": "0" * 64},
    "mirror": True,
    "grid": [4, 4],
    "channels": 3,
    "dtype": "uint8",
    "range": [0, 255],
    "label_groups": [GROUP, {"kind": "continuous", "columns": [3, 4], "mean": [0.5]}],
    "subjects": 7,
    "split": {"held_out": 3, "seed": 123, "by": None, "later": 1},
    "num_images": 10,
    "resolution": 8,
    "label_names": ["a"],
    "later": {"kept": [1, 2]},
}


def test_all_fields_are_read_and_unknown_ones_kept(tmp_path):
    assert read(tmp_path, **GOOD) == GOOD


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("format", 1.0, "1 to 1"),
        ("source", 5, "a string"),
        ("fingerprint", "abc", "an object of strings"),
        ("fingerprint", {"4x4": 1}, "an object of strings"),
        ("mirror", "yes", "true or false"),
        ("grid", [65, 4], r"\[height, width\], each 1 to 64. Received: \[65, 4\]. A newer"),
        ("grid", [4], r"\[height, width\]"),
        ("grid", [4, 4.0], r"\[height, width\]"),
        ("dtype", "int8", 'one of uint8, uint16, float32. Received: "int8". A newer'),
        ("dtype", ["uint8"], "one of uint8, uint16, float32"),
        ("channels", 65, "a number from 1 to 64"),
        ("channels", 0, "a number from 1"),
        ("channels", True, "a number from 1"),
        ("range", [255, 0], "two numbers, the lower one first"),
        ("range", [0], "two numbers"),
        ("label_groups", {}, "a list of objects with a kind"),
        ("label_groups", [GROUP | {"kind": "text"}], "a list of objects with a kind"),
        ("label_groups", [GROUP | {"columns": [3, 3]}], "a list of objects"),
        ("label_groups", [GROUP | {"names": "abc"}], "a list of objects"),
        ("label_groups", [GROUP | {"names": ["a"]}], "a list of objects"),
        ("label_groups", [GROUP | {"mean": [1]}], "a list of objects"),
        ("subjects", "two", "a number from 1"),
        ("split", [3], "an object with held_out"),
        ("split", {"held_out": 0}, "an object with held_out"),
        ("split", {"held_out": 1, "by": 5}, "an object with held_out"),
    ],
)
def test_a_wrong_field_is_refused_by_name(name, value, rule, tmp_path):
    with pytest.raises(ValueError, match=f"dataset.json: `{name}` must be {rule}"):
        read(tmp_path, **GOOD | {name: value})


def test_an_infinite_range_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON"):
        read(tmp_path, range=[0, float("inf")])


def test_kinds_of_columns_are_told_apart():
    rows = [[1, 0, 0.5, -3, 1, 1], [0, 1, 1.5, 5, 0, 1]]
    names = ["cat", "dog", "age", "size", "hat", "tie"]
    assert label_groups(np.array(rows, np.float32), names) == [
        {"kind": "class", "columns": [0, 2], "names": ["cat", "dog"]},
        {
            **{"kind": "continuous", "columns": [2, 4], "names": ["age", "size"]},
            **{"mean": [1, 1], "deviation": [0.5, 4]},
        },
        {"kind": "multilabel", "columns": [4, 6], "names": ["hat", "tie"]},
    ]
    assert label_groups(np.array([2, 0]), []) == [{"kind": "class", "columns": [0, 3]}]
    assert label_groups(np.array([[1], [1]]), []) == [{"kind": "multilabel", "columns": [0, 1]}]


def test_the_groups_and_the_fingerprint_of_a_dataset_are_stored(tmp_path):
    make(tmp_path / "set", labels=np.linspace(0, 1, 50)[:, None], label_names=["age"])
    dataset = open_dataset(tmp_path / "set", max_label_size="full")
    assert dataset.meta["label_groups"] == [
        {
            **{"kind": "continuous", "columns": [0, 1], "names": ["age"]},
            **{"mean": [0.5], "deviation": [0.294508]},
        }
    ]
    assert dataset.meta["fingerprint"] == fingerprint(dataset)
    assert set(dataset.meta["fingerprint"]) == {"4x4", "8x8", "labels"}
    inspection.verify(str(tmp_path / "set"))


def test_names_of_groups_are_those_of_the_columns(tmp_path):
    make(tmp_path / "set", labels=np.arange(50) % 3, label_names=["a", "b", "c"])
    meta = json.loads((tmp_path / "set" / "dataset.json").read_text())
    del meta["label_names"]
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(meta))
    assert open_dataset(tmp_path / "set", max_label_size=2).label_names == ("a", "b")


def test_records_of_another_dataset_are_found(tmp_path):
    make(tmp_path / "a" / "set")
    make(tmp_path / "b" / "set", items=range(100, 150))
    for name in ("set-r02.tfrecords", "set-r03.tfrecords"):
        (tmp_path / "b" / "set" / name).replace(tmp_path / "a" / "set" / name)
    with pytest.raises(ValueError, match=r"4x4 part is whole, but not what dataset.json says"):
        inspection.verify(str(tmp_path / "a" / "set"))


def test_an_older_description_still_opens(tmp_path):
    make(tmp_path / "set")
    old = {"format": 1, "source": "test", "num_images": 50, "resolution": 8, "num_channels": 3}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(old | {"label_names": []}))
    assert inspection.verify(str(tmp_path / "set")).num_images == 50
    (tmp_path / "set" / "dataset.json").unlink()
    assert inspection.verify(str(tmp_path / "set")).num_images == 50
