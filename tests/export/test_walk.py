"""The walk through latent space of the original's films."""

import numpy as np
import pytest

from pgtf.export.walk import smooth_loop


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
