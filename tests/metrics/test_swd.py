"""The sliced Wasserstein distance behaves as theory says."""

import numpy as np
import pytest
import scipy.stats

from pgtf.metrics.descriptors import Descriptors
from pgtf.metrics.pyramid import laplacian_pyramid
from pgtf.metrics.swd import SlicedWasserstein, random_directions, sliced_wasserstein
from tests.metrics.pictures import blurred, waves

NUM = 32


@pytest.fixture(scope="module")
def reals():
    return waves(NUM, 64, seed=1)


def swd(reals, fakes, seed=5, **options):
    metric = SlicedWasserstein(len(reals), reals.shape[1:], np.random.RandomState(seed), **options)
    metric.feed_reals(reals)
    metric.begin_fakes()
    metric.feed_fakes(fakes)
    return metric.result()


@pytest.fixture(scope="module")
def floor(reals):
    """Distance of a set from itself: other patches of the same images."""
    return swd(reals, reals)


def test_levels_are_named_by_their_side_and_averaged(floor):
    assert list(floor) == ["64", "32", "16", "avg"]
    assert floor["avg"] == pytest.approx(np.mean([floor["64"], floor["32"], floor["16"]]))


def test_a_set_against_itself_is_sampling_noise(floor):
    # Two samples of n = 4096 patches: about 1 / sqrt(n) = 16 x 10^-3 if they were independent.
    assert 0 < floor["64"] < 32
    assert 0 < floor["avg"] < 32


def test_a_shuffled_copy_is_as_near_as_the_set_itself(reals, floor):
    shuffled = reals[np.random.RandomState(0).permutation(NUM)]
    assert swd(reals, shuffled)["avg"] == pytest.approx(floor["avg"], rel=0.3)


def test_blur_shows_at_the_finest_level(reals, floor):
    found = swd(reals, blurred(reals, 1.0))
    assert found["64"] > 2 * floor["64"]
    assert found["64"] > 1.5 * found["32"]
    assert found["64"] > 2 * found["16"]
    assert found["16"] < 1.5 * floor["16"]


def test_other_images_of_the_same_kind_are_near_and_noise_is_far(reals, floor):
    noise = np.random.RandomState(0).randint(0, 256, reals.shape).astype(np.uint8)
    same_kind = swd(reals, waves(NUM, 64, seed=2))
    assert same_kind["64"] < 1.5 * floor["64"]
    # Every band is normalised, so that noise differs where patches of images have shape: at 16.
    assert swd(reals, noise)["16"] > 1.5 * same_kind["16"]


def test_brightness_and_contrast_of_a_whole_set_do_not_count(reals):
    half = reals[:16] // 2
    found, same = swd(half, 2 * half), swd(half, half)
    for level, value in found.items():
        assert value == pytest.approx(same[level], abs=1e-3)


def test_one_direction_is_the_wasserstein_distance_of_scipy():
    a, b = (waves(4, 16, seed) for seed in (3, 4))
    levels = []
    for images in (a, b):
        descriptors = Descriptors(4, a.shape[1:])
        descriptors.feed(images, np.random.RandomState(0))
        levels += descriptors.levels
    ours = sliced_wasserstein(*levels, np.random.RandomState(1), repeats=1, count=1)
    direction = random_directions(np.random.RandomState(1), 3, 1)
    p, q = (level.normalized() @ direction for level in levels)
    assert ours == pytest.approx(scipy.stats.wasserstein_distance(p[:, 0], q[:, 0]), rel=1e-4)


def test_normalized_descriptors_have_zero_mean_and_unit_variance_per_channel(reals):
    descriptors = Descriptors(16, reals.shape[1:])
    descriptors.feed(reals[:16], np.random.RandomState(0))
    for level in descriptors.levels:
        values = level.normalized().reshape(-1, 3)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-4)


def test_moments_are_those_of_float32_sums_in_the_original_order(reals):
    """Sums in float64 would be 30 times as far away: the original's own rounding is seen."""
    descriptors = Descriptors(NUM, reals.shape[1:], patches_per_image=512)
    descriptors.feed(reals, np.random.RandomState(0))
    level = descriptors.levels[-1]
    patches = level.patches(0, level.num_patches).reshape(-1, 7, 7, 3).transpose(0, 3, 2, 1)
    patches = np.ascontiguousarray(patches)
    mean = patches.mean(axis=(0, 2, 3))
    std = (patches - mean[:, None, None]).std(axis=(0, 2, 3))
    np.testing.assert_allclose(level.moments, [mean, std], rtol=2e-7)


def test_directions_are_unit_vectors_that_cover_all_components():
    directions = random_directions(np.random.RandomState(0), 3, 512)
    assert directions.shape == (147, 512)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(directions.mean(axis=1), 0, atol=0.02)


def test_levels_in_temporary_files_give_the_same_values(reals):
    small = reals[:16]
    in_memory = swd(small, small[::-1], patches_per_image=128)
    assert swd(small, small[::-1], patches_per_image=128, max_bytes=0) == in_memory


@pytest.mark.parametrize("directions", [1, 48, 128])
def test_a_small_buffer_gives_the_same_values(reals, monkeypatch, directions):
    """128 directions are no multiple of 48: the last part is smaller."""
    small, patches = reals[:4], 64
    expected = swd(small, small[::-1], patches_per_image=patches)
    num_bytes = 4 * len(small) * patches * directions
    monkeypatch.setattr("pgtf.metrics.swd._SORT_BYTES", num_bytes)
    found = swd(small, small[::-1], patches_per_image=patches)
    assert found == pytest.approx(expected, rel=1e-6)  # a product of other shape rounds differently


@pytest.mark.parametrize("patches_per_image", [8, 512])
@pytest.mark.parametrize("width", [64, 32])
def test_patches_are_what_their_positions_say(reals, width, patches_per_image):
    """Few patches are kept as such; of many, the level they are cut from."""
    images = reals[:2, :, :width]
    descriptors = Descriptors(2, images.shape[1:], patches_per_image)
    descriptors.feed(images, np.random.RandomState(0))
    bands = laplacian_pyramid(images, descriptors.num_levels)
    rng = np.random.RandomState(0)
    for level, band in zip(descriptors.levels, bands, strict=True):
        num = 2 * patches_per_image
        y_end, x_end = (side - 3 for side in band.shape[1:3])
        x, y = rng.randint(3, x_end, num), rng.randint(3, y_end, num)
        for i in range(0, num, 7):
            image = band[i // patches_per_image]
            patch = image[y[i] - 3 : y[i] + 4, x[i] - 3 : x[i] + 4]
            start = i // patches_per_image * patches_per_image
            patches = level.patches(start, start + patches_per_image)
            np.testing.assert_array_equal(patches[i - start].reshape(7, 7, 3), patch)


def test_every_snapshot_sees_the_same_draws(reals):
    reals, fakes = reals[:8], waves(8, 64, seed=2)
    metric = SlicedWasserstein(8, reals.shape[1:], np.random.RandomState(0))
    metric.feed_reals(reals)
    results = []
    for _ in range(2):
        metric.begin_fakes()
        metric.feed_fakes(fakes)
        results.append(metric.result())
    assert results[0] == results[1]


def test_gray_images_and_flat_ones_give_finite_values():
    gray = waves(8, 32, seed=0, channels=1)
    flat = np.full_like(gray, 128)
    assert 0 < swd(gray, waves(8, 32, seed=9, channels=1))["avg"] < swd(gray, flat)["avg"] < 2000
    assert swd(flat, flat)["avg"] == 0


def test_too_few_images_are_refused(reals):
    metric = SlicedWasserstein(4, reals.shape[1:], np.random.RandomState(0))
    metric.feed_reals(reals[:3])
    with pytest.raises(ValueError, match="promised 4 reals. Received: 3"):
        metric.begin_fakes()


@pytest.mark.parametrize("nums", [(2, 3), (3, 2), (1, 4), (6, 4)])
def test_sets_of_different_size_have_the_wasserstein_distance_of_scipy(reals, nums):
    levels = []
    for num in nums:
        descriptors = Descriptors(num, reals.shape[1:], patches_per_image=5)
        descriptors.feed(reals[:num], np.random.RandomState(num))
        levels.append(descriptors.levels[2])
    ours = sliced_wasserstein(*levels, np.random.RandomState(0), repeats=1, count=3)
    directions = random_directions(np.random.RandomState(0), 3, 3)
    p, q = ((level.normalized() @ directions).T for level in levels)
    theirs = [scipy.stats.wasserstein_distance(a, b) for a, b in zip(p, q, strict=True)]
    assert ours == pytest.approx(np.mean(theirs), rel=1e-4)


def test_reals_and_fakes_are_counted_apart(reals):
    """The reals twice are the same distribution as once: only the patches are others."""
    metric = SlicedWasserstein(16, reals.shape[1:], np.random.RandomState(5), num_reals=32)
    metric.feed_reals(reals)
    metric.begin_fakes()
    metric.feed_fakes(reals[:16])
    found = metric.result()["avg"]
    assert 0 < found < 1.5 * swd(reals[:16], reals[16:])["avg"]
    metric.begin_fakes()
    metric.feed_fakes(reals[:15])
    with pytest.raises(ValueError, match="promised 16 fakes. Received: 15"):
        metric.result()
