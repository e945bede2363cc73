"""Metrics against the values of the original release, from the same images and random states."""

import json

import numpy as np
import pytest

from pgtf.metrics import ms_ssim
from pgtf.metrics.descriptors import Descriptors
from pgtf.metrics.fid import FeatureStatistics, frechet_distance
from pgtf.metrics.inception_score import inception_score
from pgtf.metrics.ms_ssim import MultiScaleSSIM
from pgtf.metrics.pyramid import laplacian_pyramid, pyr_down, pyr_up
from pgtf.metrics.swd import SlicedWasserstein, random_directions
from tests.reference.cases import (
    Difference,
    arrays,
    check,
    find,
    largest,
    largest_relative,
    nhwc,
)

TOLERANCE = 1e-5  # times max(1, |value|)


@pytest.fixture(scope="module")
def folder():
    (path,) = find("metrics/metrics.json")
    return path.parent


@pytest.fixture(scope="module")
def expected(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def images(folder):
    return {name: nhwc(array) for name, array in arrays(folder / "images.npz").items()}


@pytest.fixture(scope="module")
def swd(folder):
    return arrays(folder / "sliced_wasserstein.npz")


def assert_close(ours, theirs, where=""):
    what = "metrics: SWD, MS-SSIM, Frechet distance, inception score"
    check([Difference(what, where, largest_relative(ours, theirs), TOLERANCE)])


def levels(case, prefix):
    """Arrays prefix/level0, prefix/level1, ... of a case."""
    found = [case[f"{prefix}/level{k}"] for k in range(len(case)) if f"{prefix}/level{k}" in case]
    assert found
    return found


def original_order(patches):
    """[n, 7, 7, C] as (y, x, channel) -> [n, C, 7, 7] as (channel, x, y)."""
    return patches.transpose(0, 3, 2, 1)


def test_the_laplacian_pyramid_is_equal_to_the_last_bit(swd, images):
    theirs = levels(swd, "pyramid_A2")
    for ours, band in zip(laplacian_pyramid(images["A"][:2], len(theirs)), theirs, strict=True):
        np.testing.assert_array_equal(ours, nhwc(band))


@pytest.mark.parametrize("suffix", ["", "_rect"])
def test_pyramid_steps_are_equal_to_the_last_bit(swd, suffix):
    image = nhwc(swd[f"pyr_in{suffix}"])
    np.testing.assert_array_equal(pyr_down(image), nhwc(swd[f"pyr_down{suffix}"]))
    np.testing.assert_array_equal(pyr_up(image), nhwc(swd[f"pyr_up{suffix}"]))


def test_descriptors_are_those_of_the_same_random_state(swd, images):
    theirs, final = levels(swd, "desc_A2"), levels(swd, "desc_final_A2")
    descriptors = Descriptors(2, images["A"].shape[1:], patches_per_image=len(theirs[0]) // 2)
    descriptors.feed(images["A"][:2], np.random.RandomState(int(swd["desc_seed"])))
    for level, raw, normalized in zip(descriptors.levels, theirs, final, strict=True):
        patches = level.patches(0, level.num_patches).reshape(-1, 7, 7, 3)
        np.testing.assert_array_equal(original_order(patches), raw)
        ours = original_order(level.normalized().reshape(-1, 7, 7, 3)).reshape(normalized.shape)
        assert largest(ours, normalized) <= TOLERANCE


def test_the_distance_of_given_descriptors_is_equal(swd):
    repeats, count = map(int, swd["swd_args"])
    rng = np.random.RandomState(int(swd["swd_seed"]))
    a, b = (swd[name].reshape(-1, 3, 7, 7).transpose(0, 3, 2, 1) for name in ("swd_X", "swd_Y"))
    a, b = (x.reshape(len(x), -1) for x in (a, b))
    distances = []
    for _ in range(repeats):
        directions = random_directions(rng, 3, count)
        distances.append(np.abs(np.sort(a @ directions, 0) - np.sort(b @ directions, 0)).mean())
    assert_close(np.mean(distances), float(swd["swd_value"]))


def test_swd_of_two_sets_is_equal_with_one_random_stream(expected, images):
    assert expected["swd_api"]
    for case in expected["swd_api"]:
        reals, fakes, size = images["A"], images["B"], case["minibatch_size"]
        metric = SlicedWasserstein(len(reals), reals.shape[1:], np.random.RandomState(case["seed"]))
        for begin in range(0, len(reals), size):
            metric.feed_reals(reals[begin : begin + size])
        metric.begin_fakes()
        for begin in range(0, len(fakes), size):
            metric.feed_fakes(fakes[begin : begin + size])
        ours = metric.result()
        assert [f"SWDx1e3_{name}" for name in ours] == case["metric_names"]
        for name, value, theirs in zip(ours, ours.values(), case["fakes"], strict=True):
            assert_close(value, theirs, f"seed {case['seed']}, {name}")


@pytest.fixture(scope="module")
def msssim_inputs(folder):
    return arrays(folder / "msssim_inputs.npz")


def msssim_cases(images, inputs):
    """{name in metrics.json: our value}"""
    a, b, noisy = images["A"], images["B"], nhwc(inputs["noisy"])
    pairs = ms_ssim.ms_ssim(a[:8], noisy)
    found = {
        "A_even_vs_A_odd": ms_ssim.ms_ssim(a[0::2], a[1::2]),
        "A_vs_B": ms_ssim.ms_ssim(a, b),
        "A0_vs_A0": ms_ssim.ms_ssim(a[:1], a[:1]),
        "A8_vs_noisy": pairs,
        "A8_vs_noisy_3levels": ms_ssim.ms_ssim(a[:8], noisy, weights=(0.2, 0.3, 0.5)),
        "A8_vs_noisy_filter0": ms_ssim.ms_ssim(a[:8], noisy, filter_size=0),
    }
    return {k: v.mean() for k, v in found.items()} | {f"pair{i}": v for i, v in enumerate(pairs)}


def test_ms_ssim_is_equal_in_every_case(expected, images, msssim_inputs):
    ours = msssim_cases(images, msssim_inputs)
    assert set(ours) == set(expected["msssim"])
    for name, theirs in expected["msssim"].items():
        assert_close(ours[name], theirs, name)
    big, big2 = nhwc(msssim_inputs["big"]), nhwc(msssim_inputs["big2"])
    assert_close(ms_ssim.ms_ssim(big, big2).mean(), expected["msssim_128"], "128x128")


def test_ms_ssim_of_minibatches_pairs_neighbours(expected, images):
    for name, theirs in zip("AB", ("reals", "fakes"), strict=True):
        metric = MultiScaleSSIM()
        for begin in range(0, len(images[name]), 16):
            metric.feed(images[name][begin : begin + 16])
        assert_close(metric.result(), expected["msssim_api_mb16"][theirs], name)


def test_single_scale_terms_and_windows_are_equal(images, msssim_inputs):
    a, b = (x.astype(np.float64) for x in (images["A"][:8], nhwc(msssim_inputs["noisy"])))
    ssim, contrast_structure = ms_ssim.ssim_terms(a, b)
    assert largest(ssim, msssim_inputs["ssim_A8_noisy"]) <= 1e-12
    assert largest(contrast_structure, msssim_inputs["cs_A8_noisy"]) <= 1e-12
    for size in (11, 8):
        window = ms_ssim.gaussian_window(size, 1.5 * size / 11)
        assert largest(np.outer(window, window), msssim_inputs[f"gauss{size}"]) <= 1e-15


def test_the_frechet_distance_is_equal_in_every_case(folder, expected):
    case = arrays(folder / "frechet.npz")
    ours = {
        name: frechet_distance(
            *(case[f"{name}/{part}"] for part in ("mu1", "sigma1", "mu2", "sigma2"))
        )
        for name in {key.split("/")[0] for key in case} - {"acts"}
    }
    statistics = {}
    for name in ("reals", "fakes"):
        statistics[name] = FeatureStatistics()
        statistics[name].feed(case[f"acts/{name}"])
    reals, fakes = (s.mean_and_covariance() for s in statistics.values())
    assert largest(reals[0], case["acts/mu_reals"]) <= 1e-12
    assert largest(reals[1], case["acts/sigma_reals"]) <= 1e-12
    ours |= {"acts_reals": frechet_distance(*reals, *reals)}
    ours |= {"acts_fakes": frechet_distance(*reals, *fakes)}
    assert set(ours) == set(expected["frechet"])
    for name, theirs in expected["frechet"].items():
        # Rank-deficient cases are reproducible to about 1e-8 only.
        assert abs(ours[name] - theirs) <= 1e-6 * max(1, abs(theirs)), name


def test_the_inception_score_is_equal_in_every_case(folder, expected):
    case = arrays(folder / "inception_score.npz")
    assert set(case) == set(expected["inception_score"])
    for name, theirs in expected["inception_score"].items():
        mean, std = inception_score(case[name], theirs["splits"])
        assert_close(mean, theirs["mean"], name)
        assert_close(std, theirs["std"], name)
