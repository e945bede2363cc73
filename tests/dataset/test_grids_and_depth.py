"""Datasets of any grid, type and number of channels, as dataset.json states them."""

import itertools
import json

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.fingerprint import fingerprint
from pgtf.dataset.label_groups import LabelGroup
from pgtf.dataset.tfrecords import to_records
from pgtf.grids import Grid

NUM = 6


def write(folder, levels, labels=None, **meta):
    """Writes a dataset folder by hand: arrays [n, C, H, W] from the coarsest level on."""
    folder.mkdir()
    for log2, level in enumerate(levels, 2):
        (folder / f"x-r{log2:02d}.tfrecords").write_bytes(to_records(level).tobytes())
    if labels is not None:
        with open(folder / "x-rxx.labels", "wb") as file:
            np.save(file, labels)
    if meta:
        (folder / "dataset.json").write_text(json.dumps(meta))
    return folder


def noise(dtype, *shape):
    values = np.random.default_rng(0).integers(0, 65536, shape)
    return (values >> 8).astype(dtype) if dtype == "uint8" else values.astype(dtype)


CASES = list(itertools.product([(4, 4), (5, 4), (4, 3), (2, 8)], ["uint8", "uint16", "float32"]))


@pytest.mark.parametrize(("grid", "dtype"), CASES)
@pytest.mark.parametrize("channels", [1, 2, 13])
def test_values_are_read_as_they_were_written(grid, dtype, channels, tmp_path):
    height, width = grid
    levels = [noise(dtype, NUM, channels, height << k, width << k) for k in (0, 1)]
    if dtype == "float32":
        levels[1][0, 0, 0, 0] = -0.1
    facts = {"grid": grid, "dtype": dtype, "channels": channels, "range": [1, 40000]}
    dataset = open_dataset(write(tmp_path / "x", levels, **facts))
    assert dataset.grid == Grid(*grid)
    assert dataset.dtype == np.dtype(dtype)
    assert (dataset.size, dataset.size_at(2)) == ((2 * height, 2 * width), grid)
    assert (dataset.resolution, dataset.num_channels) == (8, channels)
    assert dataset.value_range == ((0, 255) if dtype == "uint8" else (1, 40000))
    for log2, level in enumerate(levels, 2):
        found = dataset.read_images([5, 0, 0], log2)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, level[[5, 0, 0]].transpose(0, 2, 3, 1))
    assert [*fingerprint(dataset)] == [f"{height}x{width}", f"{2 * height}x{2 * width}"]


def test_the_bytes_of_a_record_are_little_endian(tmp_path):
    values = np.full((1, 1, 4, 4), 0x1234, np.uint16)
    assert to_records(values).tobytes().count(b"\x34\x12" * 16) == 1
    assert to_records(values.astype(np.float32)).tobytes().count(np.float32(0x1234).tobytes()) == 16


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, r"images must have 1 or 3 channels .* Received: shape=\[2, 5, 4\]"),
        ({"channels": 2}, r"record 0 .*: must have shape \[2, 4, 4\]. Received: \[2, 5, 4\]"),
        ({"channels": 2, "grid": [4, 5]}, r"must have shape \[2, 4, 5\]. Received: \[2, 5, 4\]"),
        ({"channels": 2, "grid": [5, 4], "dtype": "uint16"}, "length of `data`, uint16 values"),
    ],
)
def test_records_that_dataset_json_does_not_describe_are_refused(stated, message, tmp_path):
    folder = write(tmp_path / "x", [noise("uint8", 1, 2, 5, 4)], **stated)
    with pytest.raises(ValueError, match=message):
        open_dataset(folder)


@pytest.mark.parametrize("range_", [None, [100, 4095.5]])
def test_a_range_is_that_of_the_type_unless_stated(range_, tmp_path):
    facts = {"dtype": "uint16"} | ({"range": range_} if range_ else {})
    dataset = open_dataset(write(tmp_path / "x", [noise("uint16", 1, 1, 4, 4)], **facts))
    assert dataset.value_range == tuple(range_ or (0, 65535))


GROUPS = [
    {"kind": "class", "columns": [0, 3], "names": ["a", "b", "c"]},
    {"kind": "continuous", "columns": [3, 5], "names": ["d", "e"], "mean": [1, 2.5]},
]


@pytest.mark.parametrize(
    ("groups", "size", "expected"),
    [
        ([], 4, [LabelGroup("class", (0, 4))]),
        ([], 0, []),
        (GROUPS, 2, [LabelGroup("class", (0, 2), ("a", "b"))]),
        (
            GROUPS,
            "full",
            [
                LabelGroup("class", (0, 3), ("a", "b", "c")),
                LabelGroup("continuous", (3, 5), ("d", "e"), (1, 2.5)),
                LabelGroup("class", (5, 6)),
            ],
        ),
    ],
)
def test_label_groups_are_those_of_the_columns_in_use(groups, size, expected, tmp_path):
    labels, images = np.zeros((NUM, 6), np.float32), noise("uint8", NUM, 1, 4, 4)
    folder = write(tmp_path / "x", [images], labels, label_groups=groups)
    assert open_dataset(folder, max_label_size=size).label_groups == tuple(expected)


def test_label_groups_that_leave_a_gap_are_refused(tmp_path):
    labels, images = np.zeros((NUM, 6), np.float32), noise("uint8", NUM, 1, 4, 4)
    folder = write(tmp_path / "x", [images], labels, label_groups=GROUPS[1:])
    with pytest.raises(ValueError, match="`label_groups` .* begins at column 3, not 0"):
        _ = open_dataset(folder, max_label_size="full").label_groups
