import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import latents_from_seeds
from pgtf.networks.latents import extreme_scale, of_any_scale


def test_a_latent_depends_on_its_seed_alone():
    together = latents_from_seeds([3, 1, 2**40, 3], 16).numpy()
    for row, seed in zip(together, [3, 1, 2**40, 3], strict=True):
        np.testing.assert_array_equal(row, latents_from_seeds([seed], 16)[0])
    assert len({row.tobytes() for row in together}) == 3


def test_latents_are_the_same_under_tf_function_and_after_a_change_of_the_global_seed():
    eager = latents_from_seeds(range(4), 8).numpy()
    tf.random.set_seed(77)
    np.testing.assert_array_equal(
        tf.function(latents_from_seeds)(tf.range(4, dtype=tf.int64), 8), eager
    )


def test_the_latent_of_seed_0_is_the_one_of_every_earlier_version():
    expected = [-1.6970340, -0.4813767, -0.6622369, 0.0870112]
    np.testing.assert_allclose(latents_from_seeds([0], 4)[0], expected, rtol=0, atol=1e-6)


def test_latents_are_standard_normal():
    latents = latents_from_seeds(range(200), 512).numpy()
    assert abs(latents.mean()) < 0.01
    assert abs(latents.std() - 1) < 0.01
    assert abs(np.mean(latents**4) - 3) < 0.1
    assert abs(np.corrcoef(latents[:, 0], latents[:, 1])[0, 1]) < 0.25


@pytest.mark.parametrize("num", [1, 200])
def test_latents_have_the_bits_of_one_draw_per_seed_and_are_traced_once(num, monkeypatch):
    draw, calls = tf.random.stateless_normal, []

    def counted(*args, **options):
        calls.append(args)
        return draw(*args, **options)

    seeds = np.arange(num) * 12345678901 - 99
    expected = [draw([37], [seed, 0], alg="philox") for seed in seeds]
    monkeypatch.setattr(tf.random, "stateless_normal", counted)
    np.testing.assert_array_equal(latents_from_seeds(seeds, 37), expected)
    assert len(calls) <= 2  # however many seeds, or none if an earlier trace serves
    assert latents_from_seeds([], 37).shape == (0, 37)


@pytest.mark.parametrize("scale", [0, 0.02, 1, 1e6, 1e14])
@pytest.mark.parametrize("epsilon", [1e-8, 0])
def test_ordinary_latents_keep_their_bits(rng, scale, epsilon):
    parts = [(rng.normal(size=[50, n]) * scale).astype(np.float32) for n in (8, 3)]
    for kept, part in zip(of_any_scale(parts, epsilon), parts, strict=True):
        np.testing.assert_array_equal(kept, part)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-6, 1e16, 1e20, 1e37])
def test_extreme_latents_are_divided_by_their_largest_value_together_with_their_labels(rng, scale):
    latents, labels = rng.uniform(-1, 1, [2, 50, 8]).astype(np.float32)
    latents[:, 0] = 1
    found = of_any_scale([latents * np.float32(scale), labels * np.float32(scale)], 1e-8)
    for part, expected in zip(found, (latents, labels), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-6)


def test_each_row_has_its_own_scale():
    rows = np.float32([[3e20, 4e20], [3, 4], [0, 0], [3e-20, 4e-20], [np.nan, 1], [np.inf, 1]])
    scale = extreme_scale(rows).numpy()[:, 0]
    np.testing.assert_array_equal(scale, np.float32([4e20, 1, 1, 4e-20, np.nan, np.inf]))
