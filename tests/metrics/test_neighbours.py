"""Search for the training images closest to some fakes."""

import numpy as np
import pytest

from pgtf.metrics.image_sets import ImageSet, of_array
from pgtf.metrics.neighbours import nearest_neighbours, neighbour_sheet
from tests.metrics.pictures import waves


def test_neighbours_are_those_of_all_distances(rng):
    reals, fakes = rng.integers(0, 256, (150, 8, 8, 3), np.uint8), waves(4, 8, seed=0)
    indices, distances = nearest_neighbours(of_array("reals", reals), fakes, 7)
    every = np.sqrt(((fakes[:, None].astype(float) - reals) ** 2).mean(axis=(2, 3, 4)))
    np.testing.assert_array_equal(indices, np.argsort(every, axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :7], rtol=1e-4)


def test_a_copy_is_found_at_distance_0_and_drawn_below():
    reals = waves(70, 16, seed=1)
    fakes = reals[[69, 3]]
    sheet, distances = neighbour_sheet(of_array("reals", reals), fakes, 3)
    assert sheet.shape == (4 * 16, 2 * 16, 3)
    np.testing.assert_array_equal(sheet[:16], np.concatenate(list(fakes), axis=1))
    np.testing.assert_array_equal(sheet[16:32], sheet[:16])
    np.testing.assert_allclose(distances[:, 0], 0, atol=0.05)
    assert (distances[:, 1] > 10).all()


def test_large_images_are_compared_as_box_means():
    reals = waves(5, 128, seed=1)
    noisy = reals[[2]].astype(int)
    noisy[:, ::2, ::2] += 4  # one pixel per box of 2x2
    noisy = noisy.clip(0, 255).astype(np.uint8)
    indices, distances = nearest_neighbours(of_array("reals", reals), noisy, 1)
    assert indices.tolist() == [[2]]
    assert distances[0, 0] == pytest.approx(1, abs=0.1)


def test_fewer_reals_than_neighbours_and_other_shapes():
    reals = of_array("reals", waves(3, 16, seed=1))
    assert nearest_neighbours(reals, waves(1, 16, seed=0), 5)[0].shape == (1, 3)
    endless = ImageSet("G", (16, 16, 3), None, reals.read)
    with pytest.raises(ValueError, match="definite number of images. Received: G"):
        nearest_neighbours(endless, waves(1, 16, seed=0))
    with pytest.raises(ValueError, match=r"images like reals, \[16, 16, 3\]"):
        nearest_neighbours(reals, waves(1, 8, seed=0))
