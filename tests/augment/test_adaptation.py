import numpy as np
import pytest

from pgtf.augment.adaptation import Scores, next_p, overfitting
from pgtf.augment.config import AugmentConfig


def scores(mean, variance=0.0):
    return Scores(mean, variance)


@pytest.mark.parametrize(
    ("held_out", "expected"), [(8.0, 0.0), (-2.0, 1.0), (3.0, 0.5), (9.0, -0.1), (-3.0, 1.1)]
)
def test_the_signal_places_held_out_images_between_training_images_and_fakes(held_out, expected):
    assert overfitting(scores(8.0), scores(held_out), scores(-2.0)) == pytest.approx(expected)


def test_the_signal_does_not_depend_on_offset_or_scale_of_the_scores():
    one = overfitting(scores(1.0), scores(0.2), scores(-1.0))
    other = overfitting(scores(130.0), scores(122.0), scores(110.0))
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("train", "fakes", "is_known"),
    [
        (scores(1.0, 0.09), scores(0.0, 0.15), True),  # 1 / sqrt(0.24) = 2.04 standard errors
        (scores(1.0, 0.09), scores(0.0, 0.17), False),  # 1.96
        (scores(0.0), scores(0.0), False),
        (scores(-1.0), scores(1.0), False),  # Fakes score better than training images.
        (scores(float("nan")), scores(0.0), False),
    ],
)
def test_there_is_no_signal_within_its_noise(train, fakes, is_known):
    assert (overfitting(train, scores(0.5), fakes) is not None) == is_known


def test_scores_have_the_standard_error_of_their_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=[4000, 100])
    found = [Scores.of(row.astype(np.float32)[:, None]) for row in values]
    assert np.var([x.mean for x in found]) == pytest.approx(4 / 100, rel=0.1)
    assert np.mean([x.variance for x in found]) == pytest.approx(4 / 100, rel=0.02)


def test_p_moves_by_the_share_of_images_and_stays_between_0_and_1():
    config = AugmentConfig(aug_target=0.6, aug_kimg=500)
    assert next_p(0.1, 0.7, 1000, config) == pytest.approx(0.102)
    assert next_p(0.1, 0.5, 1000, config) == pytest.approx(0.098)
    assert next_p(0.1, None, 1000, config) == 0.1
    assert next_p(0.1, float("nan"), 1000, config) == 0.1
    assert next_p(0.001, -5.0, 1000, config) == 0.0
    assert next_p(0.999, 0.9, 1000, config) == 1.0


def test_p_follows_a_made_up_signal_to_the_balance():
    """A signal that falls with p settles where it meets the target."""
    config, p = AugmentConfig(aug_target=0.6, aug_kimg=100), 0.0
    course = []
    for _ in range(300):
        p = next_p(p, 0.9 - p, 1000, config)
        course.append(p)
    assert course[:20] == pytest.approx([0.01 * i for i in range(1, 21)])
    assert np.abs(np.array(course[40:]) - 0.3).max() <= 0.011


@pytest.mark.parametrize(
    "options",
    [
        {"aug_p": -0.1},
        {"aug_p": 1.5},
        {"aug_target": 0.0},
        {"aug_target": 1.0},
        {"aug_kimg": 0},
        {"aug_kimg": float("inf")},
        {"aug_interval": 0},
    ],
    ids=str,
)
def test_options_out_of_range_are_named(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        AugmentConfig(**options)
