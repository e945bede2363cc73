"""Type and range of a dataset's values."""

import numpy as np
import pytest

from pgtf import images
from pgtf.depth import EIGHT_BITS, Depth


def test_images_of_8_bits_are_those_of_the_original_to_the_bit():
    found = np.linspace(-1.2, 1.2, 3 * 4 * 4 * 3, dtype=np.float32).reshape(3, 4, 4, 3)
    expected = images.to_uint8(found)
    np.testing.assert_array_equal(EIGHT_BITS.from_model(found), expected)
    np.testing.assert_array_equal(EIGHT_BITS.shown(found), expected)
    np.testing.assert_array_equal(EIGHT_BITS.shown_values(expected), expected)
    assert EIGHT_BITS.levels(expected) is expected


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_values_of_the_range_come_back_and_have_gray_levels(dtype):
    depth = Depth(dtype, (100.0, 4100.0))
    values = np.linspace(100, 4100, 64).reshape(1, 8, 8, 1).astype(dtype)
    back = depth.from_model(depth.to_model(values))
    assert back.dtype == dtype
    np.testing.assert_allclose(back, values, atol=0.5 if dtype == "uint16" else 1e-3)
    expected = (values.astype(float) - 100) / 4000 * 255
    np.testing.assert_allclose(depth.levels(values), expected, atol=1e-4)
    np.testing.assert_allclose(depth.shown_values(values), expected, atol=0.5001)


def test_a_window_and_channels_are_kept_for_pictures_alone():
    meta = {"dtype": "float32", "range": [-1000, 3000], "preview_range": [-160, 240]}
    depth = Depth.from_json(meta | {"preview": "2,1,0"})
    assert Depth.from_json(depth.as_json()) == depth
    values = np.array([-1000, -160, 41, 240, 3000], np.float32)
    values = np.stack([values, values * 0, values * 0 - 160], axis=-1).reshape(1, 1, 5, 3)
    for found in (depth.shown_values(values), depth.shown(depth.to_model(values))):
        np.testing.assert_array_equal(found[0, 0, :, 2], [0, 0, 128, 255, 255])
        np.testing.assert_array_equal(found[0, 0, :, 0], [0] * 5)
    assert Depth.from_json({}) == EIGHT_BITS


def test_an_impossible_range_is_refused():
    with pytest.raises(
        ValueError, match="`dtype` must be one of uint8, .*Received: uint16, 5 to 5"
    ):
        Depth("uint16", (5.0, 5.0))
