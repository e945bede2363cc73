"""Patches computed without the band equal patches cut from it."""

import numpy as np
import pytest

from pgtf.metrics.patches import PATCH, cut, cut_band
from pgtf.metrics.pyramid import gaussian_pyramid, laplacian_band


@pytest.mark.parametrize("shape", [(2, 32, 16, 3), (1, 16, 64, 1)])
@pytest.mark.parametrize("level", [0, 1])
def test_every_patch_of_a_band_equals_that_of_the_whole_band(shape, level, rng):
    images = rng.integers(0, 256, shape, np.uint8)
    fine, coarse = gaussian_pyramid(images, level + 2)[level:]
    n, height, width, _ = fine.shape
    places = np.indices((n, height - PATCH + 1, width - PATCH + 1)).reshape(3, -1)
    band = laplacian_band(fine, coarse, is_finest=level == 0)
    found = cut_band(fine, coarse, level == 0, *places)
    np.testing.assert_array_equal(found, cut(band, *places))
    image, y, x = places[:, -1]
    last = band[image, y : y + PATCH, x : x + PATCH]
    np.testing.assert_array_equal(found[-1].reshape(last.shape), last)
