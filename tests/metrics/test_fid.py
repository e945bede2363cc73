"""The Frechet distance against SciPy's matrix square root, and statistics against NumPy."""

import numpy as np
import pytest
import scipy.linalg

from pgtf.metrics.fid import FeatureStatistics, frechet_distance


def gaussian(rng, size, rank=None):
    """Mean and covariance of a random sample whose covariance has the given rank."""
    basis = rng.normal(size=(rank or size, size))
    sample = rng.normal(size=(4 * size, len(basis))) @ basis + rng.normal(size=size)
    return sample.mean(axis=0), np.cov(sample, rowvar=False)


def distance_by_scipy(mean_a, covariance_a, mean_b, covariance_b):
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b)
    return np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a + covariance_b - 2 * root.real)


@pytest.mark.parametrize(
    ("size", "rank_a", "rank_b"), [(8, 8, 8), (64, 64, 64), (64, 20, 64), (64, 64, 20), (64, 9, 30)]
)
def test_it_agrees_with_scipy_to_1e_6(rng, size, rank_a, rank_b):
    a, b = gaussian(rng, size, rank_a), gaussian(rng, size, rank_b)
    assert frechet_distance(*a, *b) == pytest.approx(distance_by_scipy(*a, *b), rel=1e-6)


def test_diagonal_gaussians_have_the_closed_form(rng):
    mean_a, mean_b = rng.normal(size=(2, 10))
    std_a, std_b = rng.uniform(0.1, 3, (2, 10))
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((std_a - std_b) ** 2)
    found = frechet_distance(mean_a, np.diag(std_a**2), mean_b, np.diag(std_b**2))
    assert found == pytest.approx(expected, rel=1e-12)


def test_rank_deficient_covariances_add_no_rounding(rng):
    """Orthogonal ranges: the root of the product is 0, and 1e-8 for each null direction is not."""
    basis, _ = np.linalg.qr(rng.normal(size=(300, 300)))
    a, b = basis[:, :100] @ basis[:, :100].T, basis[:, 200:] @ basis[:, 200:].T
    zero = np.zeros(300)
    assert frechet_distance(zero, a, zero, b) == pytest.approx(200, rel=1e-12)
    assert frechet_distance(zero, a, zero, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(zero, a, zero, np.zeros((300, 300))) == pytest.approx(100, rel=1e-12)


def test_it_is_symmetric_and_zero_for_equal_gaussians(rng):
    a, b = gaussian(rng, 32), gaussian(rng, 32)
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-10)
    assert frechet_distance(*a, *a) == pytest.approx(0, abs=1e-9)


def test_statistics_are_numpys_however_they_are_fed(rng):
    features = (1000 + rng.normal(size=(50, 7))).astype(np.float32)
    statistics = FeatureStatistics()
    for begin in range(0, 50, 9):
        statistics.feed(features[begin : begin + 9])
    mean, covariance = statistics.mean_and_covariance()
    exact = features.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(covariance, np.cov(exact, rowvar=False), atol=1e-12)


def test_bad_statistics_are_refused(rng):
    mean, covariance = gaussian(rng, 4)
    with pytest.raises(ValueError, match="finite statistics. Received: NaN"):
        frechet_distance(mean * np.nan, covariance, mean, covariance)
    with pytest.raises(ValueError, match="equal size"):
        frechet_distance(mean, covariance, mean[:3], covariance[:3, :3])
    lonely = FeatureStatistics()
    lonely.feed(np.ones((1, 4)))
    with pytest.raises(ValueError, match="two images or more. Received: 1"):
        lonely.mean_and_covariance()
