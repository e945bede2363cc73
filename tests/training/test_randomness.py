"""Draws are a pure function of (seed, images shown, purpose)."""

import itertools
import types

import numpy as np
import pytest
import tensorflow as tf

from pgtf.training import randomness
from pgtf.training.randomness import Stream

DISTRIBUTIONS = [randomness.normal, randomness.uniform]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_draws_are_the_same_again_traced_and_after_other_draws(distribution):
    first = distribution([4, 3], 1000, 640, Stream.MIXING).numpy()
    tf.random.set_seed(3)
    distribution([4, 3], 1000, 641, Stream.MIXING)
    np.testing.assert_array_equal(distribution([4, 3], 1000, 640, Stream.MIXING), first)
    traced = tf.function(lambda nimg: distribution([4, 3], 1000, nimg, Stream.MIXING))
    np.testing.assert_array_equal(traced(tf.constant(640, tf.int64)), first)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (randomness.normal, [2.5749154, 1.8596176, -0.0874129, 1.8381495]),
        (randomness.uniform, [0.0064467, 0.1504527, 0.1839268, 0.9924371]),
    ],
)
def test_draws_are_those_of_every_earlier_version_so_that_runs_can_be_continued(
    distribution, expected
):
    draws = distribution([4], 1000, 640, Stream.G_LATENTS)
    np.testing.assert_allclose(draws, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_seeds_moments_and_purposes_have_streams_of_their_own(distribution):
    keys = itertools.product([0, 1, 2, 1000], [0, 1, 16, 64, 10**9], Stream)
    draws = [distribution([4], *key).numpy().tobytes() for key in keys]
    assert len(set(draws)) == len(draws) == 4 * 5 * len(Stream)


def test_purposes_keep_their_numbers():
    # Another number is another stream: a continued run would not end as an undisturbed one.
    assert [(draw.name, draw.value) for draw in Stream][:6] == [
        ("D_LATENTS", 0),
        ("MIXING", 1),
        ("MIRROR", 2),
        ("G_LATENTS", 3),
        ("G_LABELS", 4),
        ("GRID_LATENTS", 5),
    ]


def test_normal_is_standard_normal_and_uniform_is_in_0_to_1():
    normal = randomness.normal([100_000], 1, 2, Stream.D_LATENTS).numpy()
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=0.02)
    np.testing.assert_allclose(np.mean(np.abs(normal) < 1), 0.6827, atol=0.01)
    uniform = randomness.uniform([100_000], 1, 2, Stream.MIXING).numpy()
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    np.testing.assert_allclose(np.histogram(uniform, 10)[0], 10_000, rtol=0.05)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_the_parts_of_all_replicas_join_to_the_whole(monkeypatch, replicas):
    whole = randomness.normal([8, 3], 1, 2, Stream.D_LATENTS)
    parts = []
    for replica in range(replicas):
        context = types.SimpleNamespace(
            num_replicas_in_sync=replicas, replica_id_in_sync_group=replica
        )
        monkeypatch.setattr(tf.distribute, "get_replica_context", lambda context=context: context)
        parts.append(randomness.of_this_replica(whole))
    assert {part.shape for part in parts} == {(8 // replicas, 3)}
    np.testing.assert_array_equal(np.concatenate(parts), whole)
