"""Inception score, KID, precision and recall on features with known answers."""

import numpy as np
import pytest

from pgtf.metrics.inception_score import inception_score
from pgtf.metrics.kid import kernel_distance
from pgtf.metrics.precision_recall import precision_recall, squared_distances


def test_the_inception_score_of_uniform_predictions_is_1():
    assert inception_score(np.full((40, 8), 1 / 8)) == pytest.approx((1, 0), abs=1e-12)


def test_the_inception_score_of_even_one_hot_predictions_is_the_number_of_classes():
    one_hot = np.tile(np.eye(8), (20, 1))  # every split of 16 holds each class twice
    assert inception_score(one_hot) == pytest.approx((8, 0), abs=1e-12)


def test_a_single_class_has_the_inception_score_1():
    assert inception_score(np.tile(np.eye(8)[3], (20, 1))) == pytest.approx((1, 0), abs=1e-12)


def test_splits_are_consecutive_and_cover_everything():
    # 7 images in 2 splits: 3 of class 0, then 4 of which one differs.
    p = np.eye(2)[[0, 0, 0, 0, 0, 0, 1]]
    last = np.exp(np.log(4 / 3) * 3 / 4 + np.log(4) / 4)
    mean, std = inception_score(p, num_splits=2)
    assert mean == pytest.approx((1 + last) / 2, rel=1e-12)
    assert std == pytest.approx((last - 1) / 2, rel=1e-12)


def test_fewer_images_than_splits_are_refused():
    with pytest.raises(ValueError, match="10 images or more, one for each split. Received: 9"):
        inception_score(np.full((9, 4), 1 / 4))


def test_kid_of_whole_small_sets_is_the_unbiased_estimate(rng):
    x, y = rng.normal(size=(2, 6, 5))
    off = ~np.eye(6, dtype=bool)

    def kernel(a, b):
        return (a @ b.T / 5 + 1) ** 3

    expected = kernel(x, x)[off].mean() + kernel(y, y)[off].mean() - 2 * kernel(x, y).mean()
    found, std = kernel_distance(x, y, np.random.RandomState(0), num_subsets=3)
    assert found == pytest.approx(expected, rel=1e-12)
    assert std == pytest.approx(0, abs=1e-12)


def test_kid_is_unbiased_for_equal_distributions_and_grows_with_a_shift(rng):
    x, y = rng.normal(size=(2, 2000, 8))
    estimates = [
        kernel_distance(a, y, np.random.RandomState(0), num_subsets=50, subset_size=200)[0]
        for a in (x, x + 0.3)
    ]
    assert abs(estimates[0]) < 0.02
    assert estimates[1] > 0.1


def test_kid_needs_two_images(rng):
    with pytest.raises(ValueError, match="two images or more of each set. Received: 5 reals, 1"):
        kernel_distance(rng.normal(size=(5, 2)), rng.normal(size=(1, 2)), np.random.RandomState(0))


def test_precision_and_recall_of_equal_sets_are_1(rng):
    x = rng.normal(size=(100, 4)).astype(np.float32)
    assert precision_recall(x, x) == (1, 1)


def test_fakes_of_half_the_modes_are_precise_but_do_not_recall(rng):
    noise = rng.normal(size=(3, 600, 4)).astype(np.float32)
    far = np.float32([50, 0, 0, 0])
    reals = np.concatenate([noise[0, :300], noise[1, :300] + far])
    precision, recall = precision_recall(reals, noise[2])
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)


def test_fakes_that_add_a_far_mode_are_half_precise_but_recall(rng):
    reals = rng.normal(size=(500, 4)).astype(np.float32)
    fakes = np.concatenate([reals + 0.01, reals + np.float32(50)])
    precision, recall = precision_recall(reals, fakes)
    assert precision == pytest.approx(0.5, abs=0.02)
    assert recall > 0.95


def test_manifolds_of_points_on_a_line_are_what_their_third_neighbours_say():
    reals = np.float32([[0], [1], [2], [3], [100]])  # radii 3, 2, 2, 3, 99
    fakes = np.float32([[5.9], [6.1], [-3.1], [-2.9], [0.5], [1.5], [2.5], [300]])
    # Around 100 reaches from 1 to 199; around 0 from -3 to 3.
    precision, _ = precision_recall(reals, fakes)
    assert precision == 6 / 8


def test_distances_come_in_blocks_of_rows(rng):
    a, b = rng.normal(size=(1500, 3)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)
    found = np.concatenate([block for _, block in squared_distances(a, b)])
    expected = ((a[:, None] - b) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_no_more_images_than_neighbours_are_refused(rng):
    with pytest.raises(ValueError, match="4 images or more of each set. Received: 3 reals, 9"):
        precision_recall(rng.normal(size=(3, 2)), rng.normal(size=(9, 2)))
