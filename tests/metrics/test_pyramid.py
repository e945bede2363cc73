"""The Laplacian pyramid against SciPy's two-dimensional convolution, and its properties."""

import numpy as np
import pytest
import scipy.ndimage

from pgtf.metrics.pyramid import laplacian_pyramid, num_levels, pyr_up
from tests.metrics.pictures import waves

KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32)[None, :, :, None] / 256


def plain_pyramid(images, levels):
    bands = [images.astype(np.float32)]
    for _ in range(levels - 1):
        low = scipy.ndimage.convolve(bands[-1], KERNEL, mode="mirror")[:, ::2, ::2]
        wide = np.zeros_like(bands[-1])
        wide[:, ::2, ::2] = low
        bands[-1] = bands[-1] - scipy.ndimage.convolve(wide, KERNEL * 4, mode="mirror")
        bands.append(low)
    return bands


@pytest.mark.parametrize("shape", [(2, 64, 64, 3), (1, 32, 48, 1), (3, 256, 16, 2)])
def test_bands_equal_the_plain_way_to_the_last_bit(shape, rng):
    images = rng.integers(0, 256, shape, np.uint8)
    levels = num_levels(shape[1], shape[2]) + 1  # one level below 16 pixels as well
    bands = laplacian_pyramid(images, levels)
    for ours, plain in zip(bands, plain_pyramid(images, levels), strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_images_may_lie_in_memory_in_any_order(rng):
    chw = rng.integers(0, 256, (2, 3, 32, 32), np.uint8)
    view, copy = chw.transpose(0, 2, 3, 1), chw.transpose(0, 2, 3, 1).copy()
    for a, b in zip(laplacian_pyramid(view, 2), laplacian_pyramid(copy, 2), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_bands_add_up_to_the_images():
    images = waves(2, 64, seed=0)
    *bands, whole = laplacian_pyramid(images, 3)
    for band in reversed(bands):
        whole = band + pyr_up(whole)
    np.testing.assert_allclose(whole, images, atol=1e-4)


@pytest.mark.parametrize(
    ("sides", "levels"),
    [((16, 16), 1), ((31, 16), 1), ((32, 32), 2), ((64, 128), 3), ((48, 48), 2), ((1024, 1024), 7)],
)
def test_levels_go_down_to_a_short_side_of_16(sides, levels):
    assert num_levels(*sides) == levels


def test_too_small_and_odd_images_are_refused():
    with pytest.raises(ValueError, match="16x16 pixels or more. Received: 8x64"):
        num_levels(8, 64)
    with pytest.raises(ValueError, match="multiples of 4. Received: 66x64"):
        num_levels(66, 64)
