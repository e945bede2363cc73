import numpy as np
import tensorflow as tf

from pgtf.networks import latents_from_seeds


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
