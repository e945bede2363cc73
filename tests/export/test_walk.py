"""Walks through latent space: the loop of the original's films, and arcs."""

import numpy as np
import pytest

from pgtf.export.walk import interpolate, smooth_loop


@pytest.mark.parametrize("random_state", [1000, 7])
def test_the_walk_is_smoothed_noise_of_its_seed_and_of_unit_mean_square(random_state):
    walk = smooth_loop(60, 3, 8, 5, random_state)
    noise = np.random.RandomState(random_state).randn(60, 3, 8).astype(np.float32)
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 5) ** 2)  # cut at four standard deviations
    wrapped = np.concatenate([noise[-20:], noise, noise[:20]])
    smooth = np.stack([np.tensordot(kernel, wrapped[i : i + 41], 1) for i in range(60)])
    expected = smooth / np.sqrt(np.mean(smooth**2))
    assert walk.dtype == np.float32
    assert np.abs(walk - expected).max() < 1e-4


def test_the_step_from_the_last_frame_to_the_first_is_as_small_as_any():
    walk = smooth_loop(90, 2, 64, 10, random_state=0)
    steps = np.linalg.norm(np.diff(walk, axis=0, append=walk[:1]), axis=-1)
    assert steps[-1].max() < steps[:-1].max() * 1.5
    assert steps.max() < 0.2 * np.linalg.norm(walk, axis=-1).mean()


def test_the_arc_keeps_to_the_sphere_and_meets_its_ends(rng):
    begin, end = rng.normal(size=[2, 1, 64])

    def between(begin, end, t):
        (latents,) = interpolate(begin, end, [t]).numpy()
        return latents

    assert between(begin, end, 0) == pytest.approx(begin[0], rel=1e-5)
    assert between(begin, end, 1) == pytest.approx(end[0], rel=1e-5)
    middle = between(begin, end, 0.5)
    lengths = np.linalg.norm(begin), np.linalg.norm(end)
    assert np.linalg.norm(middle) == pytest.approx(np.mean(lengths), rel=1e-5)
    cosines = middle @ begin[0] / lengths[0], middle @ end[0] / lengths[1]
    assert cosines[0] == pytest.approx(cosines[1], rel=1e-4)
    assert np.isfinite(between(begin, -begin, 0.3)).all()
    assert between(begin, begin, 0.3) == pytest.approx(begin[0], rel=1e-5)
