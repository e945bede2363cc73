import json
import os
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pgtf import images

COPY = pathlib.Path(__file__).parent / "data" / "reference"
REFERENCE = pathlib.Path(os.environ.get("PGTF_REFERENCE", COPY)) / "image_grid"
CASES = json.loads((REFERENCE / "image_grid.json").read_text())
ARRAYS = dict(np.load(REFERENCE / "image_grid.npz"))
GRIDS = sorted(name for name, case in CASES.items() if "drange" in case)


def nhwc(batch):
    return batch if batch.ndim == 3 else batch.transpose(0, 2, 3, 1)


def test_reference_has_grids():
    assert GRIDS


@pytest.mark.parametrize("name", GRIDS)
def test_grids_equal_the_originals_to_the_byte(name, tmp_path):
    case = CASES[name]
    grid = images.image_grid(nhwc(ARRAYS[case["source"]]), case["grid_size"])
    expected = ARRAYS[f"grid/{name}"]
    np.testing.assert_array_equal(grid, expected if grid.ndim == 2 else expected.transpose(1, 2, 0))
    images.save_png(tmp_path / "grid.png", grid, case["drange"])
    with (
        PIL.Image.open(tmp_path / "grid.png") as ours,
        PIL.Image.open(REFERENCE / f"{name}.png") as theirs,
    ):
        assert (ours.mode, list(ours.size)) == (case["mode"], case["size"])
        assert ours.tobytes() == theirs.tobytes()


def test_dynamic_range_equals_the_originals():
    levels = ARRAYS["adr_in"]
    to_net = images.adjust_drange(levels, (0, 255), (-1, 1))
    np.testing.assert_array_equal(to_net, ARRAYS["adr_0_255_to_-1_1"])
    np.testing.assert_array_equal(
        images.to_float(levels.astype(np.uint8)), ARRAYS["adr_u8_to_-1_1"]
    )
    back = images.adjust_drange(np.linspace(-1, 1, 18).astype(np.float32), (-1, 1), (0, 255))
    np.testing.assert_array_equal(back, ARRAYS["adr_-1_1_to_0_255"])


def test_every_grey_level_survives_the_way_to_float_and_back():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_uint8(images.to_float(levels)), levels)


def test_rounding_is_half_to_even_and_clips():
    x = np.float32([-5, 0.5, 1.5, 2.5, 254.5, 255.5, 1e9])
    np.testing.assert_array_equal(images.to_uint8(x, (0, 255)), [0, 0, 2, 2, 254, 255, 255])


def test_tensors_and_arrays_become_the_same_bytes():
    x = np.random.RandomState(0).uniform(-1.2, 1.2, [2, 8, 8, 3]).astype(np.float32)
    x[0, 0, :4, 0] = (np.float32([0.5, 1.5, 2.5, 3.5]) - 127.5) / 127.5
    ours = tf.function(images.tensor_to_uint8)(tf.constant(x))
    np.testing.assert_array_equal(ours, images.to_uint8(x))


def test_snapshot_grids_fill_the_screens_of_the_original():
    for screen, sizes in CASES["snapshot_grid_size_WxH"].items():
        for resolution, size in sizes.items():
            assert images.snapshot_grid_size(screen, int(resolution)) == tuple(size)


def test_row_per_class_takes_the_items_the_original_takes():
    case = CASES["row_per_class"]
    stream = (np.eye(case["label_size"])[(7 * i + i // 3) % 5] for i in range(case["items_drawn"]))
    assert images.row_per_class(stream, case["grid"]) == case["stream_index_of_each_cell"]


def test_row_per_class_without_labels_takes_the_first_items():
    assert images.row_per_class(np.zeros([10, 0]), (3, 2)) == [0, 1, 2, 3, 4, 5]


def test_a_grid_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="grid_size=2x1, images=3"):
        images.image_grid(np.zeros([3, 4, 4, 1]), (2, 1))


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"Received: \(4, 4, 2\)"):
        images.to_pil(np.zeros([4, 4, 2]))


def test_conversions_of_8_bits_are_those_of_all_images_to_the_bit():
    stored = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_model(stored), images.to_float(stored))
    x = np.linspace(-1.5, 1.5, 10_001, dtype=np.float32)
    np.testing.assert_array_equal(images.from_model(x), images.to_uint8(x))


@pytest.mark.parametrize(
    ("dtype", "value_range"),
    [("uint16", (0, 65535)), ("uint16", (99.5, 4095.2)), ("float32", (-1024, 3071))],
)
def test_values_survive_the_way_to_the_networks_and_back(dtype, value_range):
    low, high = value_range
    stored = np.arange(np.ceil(low), np.floor(high) + 1).astype(dtype)
    there = images.to_model(stored, value_range)
    assert there.min() >= -1
    assert there.max() <= 1
    again = images.from_model(there, value_range, dtype)
    assert again.dtype == np.dtype(dtype)
    np.testing.assert_allclose(again, stored, atol=0 if dtype == "uint16" else 1e-3)


def test_values_outside_a_range_count_as_its_ends():
    stored = np.array([0, 100, 200, 65535], np.uint16)
    np.testing.assert_array_equal(images.to_model(stored, (100, 200)), [-1, -1, 1, 1])
    x = np.array([-7, 7], np.float32)
    np.testing.assert_array_equal(images.from_model(x, (99.5, 200.5), "uint16"), [100, 200])
    np.testing.assert_array_equal(images.from_model(x, (-2.5, 9), "float32"), [-2.5, 9])
