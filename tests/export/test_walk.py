"""Walks through latent space: the loop of the original's films, and arcs."""

import numpy as np
import pytest

from pgtf.export.walk import along_arcs, interpolate, loop_smoothing, smooth_loop


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


@pytest.mark.parametrize("seconds", [0.5, 1, 3, 5.9, 6, 12])
@pytest.mark.parametrize("smoothing", [0.5, 2])
def test_a_walk_turns_by_40_degrees_per_standard_deviation_however_short(seconds, smoothing):
    walk = smooth_loop(int(30 * seconds * smoothing), 2, 512, 30 * smoothing, random_state=1000)
    unit = walk / np.linalg.norm(walk, axis=-1, keepdims=True)
    cosines = np.sum(unit * np.roll(unit, -1, axis=0), axis=-1)  # the last frame leads to the first
    speed = np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean() * 30 * smoothing
    assert speed == pytest.approx(np.degrees(np.sqrt(0.5)), rel=0.1)


def test_smoothing_is_reduced_only_in_loops_shorter_than_six_standard_deviations():
    assert loop_smoothing(180, 30) == 30
    assert loop_smoothing(1800, 30) == 30  # the original's films, whose bits stay
    values = [loop_smoothing(length, 30) for length in (1, 10, 60, 120, 179)]
    assert values == sorted(values)
    assert values == pytest.approx([0.544, 4.33, 18.2, 27.5, 29.9], rel=0.01)
    assert 0 < loop_smoothing(30, 1e9) < 31


def test_a_walk_that_would_fill_the_memory_is_refused():
    with pytest.raises(ValueError, match="at most 262144 latent vectors. Received: 1000000"):
        smooth_loop(500_000, 2, 512, 30, 0)


@pytest.mark.parametrize(("num_frames", "loop"), [(1, False), (7, False), (9, False), (8, True)])
def test_a_walk_from_key_to_key_takes_equal_times_and_meets_its_ends_to_the_bit(
    num_frames, loop, rng
):
    keys = rng.normal(size=[3, 2, 8]).astype(np.float32)
    frames = list(along_arcs(keys, num_frames, loop))
    assert len(frames) == num_frames
    num_arcs, num_steps = (3, num_frames) if loop else (2, max(num_frames - 1, 1))
    for i, (latents, begin, end, t) in enumerate(frames):
        position = i * num_arcs / num_steps
        assert begin + t == pytest.approx(position)
        assert end == (begin + 1) % 3
        expected = interpolate(keys[begin], keys[end], np.float32([t, t]))
        np.testing.assert_array_equal(latents, expected)
        if position == round(position):
            np.testing.assert_array_equal(latents, keys[round(position) % 3])
    np.testing.assert_array_equal(frames[0][0], keys[0])
    assert loop or num_frames == 1 or np.array_equal(frames[-1][0], keys[-1])


@pytest.mark.parametrize("scales", [(1e20, 1e20), (1e-20, 1e-20), (1e-10, 1e10), (1, 1e30)])
def test_the_arc_between_latents_of_extreme_length_is_that_of_their_directions(scales, rng):
    begin, end = (x / np.linalg.norm(x) for x in rng.normal(size=[2, 1, 64]).astype(np.float32))
    for t in (0.25, 0.5):
        (found,) = interpolate(begin * np.float32(scales[0]), end * np.float32(scales[1]), [t])
        (expected,) = interpolate(begin, end, [t])
        length = scales[0] * (1 - t) + scales[1] * t
        np.testing.assert_allclose(found / length, expected, rtol=0, atol=1e-5)


def test_the_arc_from_zero_is_a_straight_line(rng):
    end = rng.normal(size=[1, 8]).astype(np.float32)
    for t in (0, 0.25, 1):
        (up,), (down,) = interpolate(0 * end, end, [t]), interpolate(end, 0 * end, [1 - t])
        np.testing.assert_allclose(up, end[0] * np.linalg.norm(up) / np.linalg.norm(end), atol=1e-6)
        np.testing.assert_allclose(up, down, atol=1e-6)
    np.testing.assert_array_equal(interpolate(0 * end, end, [1]), end)
    np.testing.assert_array_equal(interpolate(0 * end, 0 * end, [0.5]), 0 * end)
