"""The losses against NumPy, one value per sample."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf import losses


@pytest.fixture
def scores(rng):
    return rng.normal(size=[2, 5, 1]).astype(np.float32)  # for reals and fakes


def linear_D(weights):
    """A D whose scores are linear in the image: its gradient is `weights` for every sample."""
    return lambda images: tf.reduce_sum(images * weights, axis=[1, 2, 3])[:, tf.newaxis]


def discriminator_loss(scores, config, norms=None):
    """D's whole loss per sample; `norms` are those of its gradients between reals and fakes."""
    loss = losses.build(config)
    terms = loss.reals(scores[0]) + loss.fakes(scores[1])
    if loss.penalty is not None:
        images = tf.zeros([5, 1, 1, 1])
        slopes = tf.reshape(norms, [5, 1])
        terms += loss.penalty(lambda x: x[:, 0, 0] * slopes, *[images] * 3, enlargement=1)
    return terms.loss.numpy()


def test_mixing_0_is_the_real_1_the_fake_and_between_them_a_line(rng):
    reals, fakes = rng.normal(size=[2, 3, 4, 4, 2])
    weights = np.array([0, 1, 0.25]).reshape(3, 1, 1, 1)
    mixed = losses.mix(reals, fakes, weights)
    np.testing.assert_array_equal(mixed[0], reals[0])
    np.testing.assert_allclose(mixed[1], fakes[1], rtol=1e-12)
    np.testing.assert_allclose(mixed[2], 0.75 * reals[2] + 0.25 * fakes[2], rtol=1e-12)


def test_discriminator_loss_is_wasserstein_plus_penalty_plus_drift_per_sample(rng, scores):
    norms = rng.uniform(0, 3, size=5).astype(np.float32)
    (real, fake), config = scores[:, :, 0], losses.LossConfig()
    loss = discriminator_loss(scores, config, norms)
    expected = fake - real + 10 * (norms - 1) ** 2 + 0.001 * real**2
    assert loss.shape == (5,)  # not the original's [5, 5], whose mean is the same
    np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=1e-6)
    config = losses.LossConfig(wgan_lambda=3, wgan_epsilon=0.5, wgan_target=750)
    loss = discriminator_loss(scores, config, norms)
    expected = fake - real + 3 * (norms - 750) ** 2 / 750**2 + 0.5 * real**2
    np.testing.assert_allclose(loss, expected, rtol=1e-6, atol=1e-6)


def test_generator_loss_is_the_negative_score_per_sample(scores):
    loss = losses.build(losses.LossConfig()).generator(scores[1]).loss
    np.testing.assert_array_equal(loss, -scores[1][:, 0])


def test_label_penalty_is_the_cross_entropy_also_of_labels_that_are_not_one_hot(rng):
    logits, labels = rng.normal(size=[2, 6, 4])
    labels[0] = np.eye(4)[2]
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(labels * log_softmax).sum(axis=1)
    np.testing.assert_allclose(losses.label_penalty(logits, labels), expected, rtol=1e-12)


def test_gradient_norm_of_a_linear_score_is_the_norm_of_its_weights(rng):
    images = tf.constant(rng.normal(size=[5, 4, 4, 3]), tf.float32)
    weights = rng.normal(size=[4, 4, 3]).astype(np.float32)
    D = linear_D(weights)
    scores, norms = losses.gradient_norms(D, images, enlargement=1)
    np.testing.assert_array_equal(scores, D(images))
    np.testing.assert_allclose(norms, [np.linalg.norm(weights)] * 5, rtol=1e-6)


def test_gradients_are_those_of_the_sum_of_scores_which_depend_on_each_other(rng):
    images = tf.constant(rng.normal(size=[5, 2, 2, 1]))
    # Every score is the mean square over the whole minibatch, as minibatch stddev would make it:
    # the sum of the 5 scores has the gradient 2 x / (2 * 2), 5 times that of one score.
    _, norms = losses.gradient_norms(
        lambda x: tf.reduce_mean(x**2) + tf.zeros([5, 1], x.dtype), images, enlargement=1
    )
    expected = np.linalg.norm(images.numpy().reshape(5, -1), axis=1) / 2
    np.testing.assert_allclose(norms, expected, rtol=1e-12)


@pytest.mark.parametrize("enlargement", [1, 2, 4])
def test_the_norm_is_that_of_the_enlarged_image_which_the_original_differentiates(rng, enlargement):
    """Each of the k * k copies of a pixel gets 1 / k**2 of its gradient: the norm falls by k."""
    small = tf.constant(rng.normal(size=[3, 4, 4, 2]))
    weights = tf.constant(rng.normal(size=[4, 4, 2]))
    k = enlargement

    def D(images):
        return tf.tanh(linear_D(weights)(images))

    def D_of_enlarged(images):
        return D(tf.nn.avg_pool2d(images, k, k, "VALID"))

    enlarged = tf.constant(small.numpy().repeat(k, axis=1).repeat(k, axis=2))
    scores, norms = losses.gradient_norms(D, small, enlargement=k)
    expected_scores, expected = losses.gradient_norms(D_of_enlarged, enlarged, enlargement=1)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-12)
    np.testing.assert_allclose(norms, expected, rtol=1e-12)


def test_the_penalty_reaches_the_weights_through_the_norm(rng):
    images = tf.constant(rng.normal(size=[5, 4, 4, 3]), tf.float32)
    weights = tf.Variable(rng.normal(size=[4, 4, 3]), dtype=tf.float32)
    with tf.GradientTape() as tape:
        _, norms = losses.gradient_norms(linear_D(weights), images, enlargement=1)
        loss = tf.reduce_mean((norms - 1) ** 2)
    norm = np.linalg.norm(weights)
    expected = 2 * (norm - 1) * weights.numpy() / norm  # d (norm - 1)^2
    np.testing.assert_allclose(tape.gradient(loss, weights), expected, rtol=1e-5, atol=1e-6)


def test_where_the_discriminator_is_flat_the_gradient_of_the_norm_is_not_finite(rng):
    images = tf.constant(rng.normal(size=[2, 4, 4, 1]), tf.float32)
    weights = tf.Variable(tf.zeros([4, 4, 1]))
    with tf.GradientTape() as tape:
        _, norms = losses.gradient_norms(linear_D(weights), images, enlargement=1)
    assert not np.any(norms)
    assert not np.any(np.isfinite(tape.gradient(norms, weights)))


@pytest.mark.parametrize("log2", [-64, 64])
def test_a_loss_scale_whose_square_float32_cannot_hold_changes_no_norm(rng, log2):
    """Training in float16 begins at 2**64; a factor that is a power of two rounds nothing."""
    images = tf.constant(rng.normal(size=[5, 4, 4, 3]), tf.float32)
    D = linear_D(rng.normal(size=[4, 4, 3]).astype(np.float32))
    _, expected = losses.gradient_norms(D, images, enlargement=2)
    scale = tf.constant(2.0**log2)
    _, found = losses.gradient_norms(D, images, enlargement=2, loss_scale=scale)
    np.testing.assert_array_equal(found, expected)
    assert np.all(np.isfinite(found))


def test_the_defaults_are_the_papers():
    assert losses.LossConfig() == losses.LossConfig(10.0, 0.001, 1.0, 1.0)


def test_least_squares_targets_and_weights_are_those_of_the_paper(scores):
    (real, fake), config = scores[:, :, 0], losses.LossConfig(kind="lsgan")
    loss = discriminator_loss(scores, config)
    assert loss.shape == (5,)
    np.testing.assert_allclose(loss, real**2 + 0.1 * (fake - 1) ** 2, rtol=1e-6)
    np.testing.assert_allclose(losses.build(config).generator(scores[1]).loss, fake**2, rtol=1e-6)
    targets = {"lsgan_real_target": 2, "lsgan_fake_target": -1, "lsgan_G_target": 3}
    config = losses.LossConfig(kind="lsgan", lsgan_fake_weight=0.5, **targets)
    loss = discriminator_loss(scores, config)
    np.testing.assert_allclose(loss, (real - 2) ** 2 + 0.5 * (fake + 1) ** 2, rtol=1e-6)
    np.testing.assert_allclose(losses.build(config).generator(scores[1]).loss, (fake - 3) ** 2)


def test_scores_where_reals_and_fakes_are_alike_are_an_eleventh():
    """If reals and fakes are alike, the score of least loss is 0.1 / 1.1 = 0.0909."""
    scores = np.linspace(0, 1, 100_001, dtype=np.float32)[:, np.newaxis]
    loss = discriminator_loss([scores, scores], losses.LossConfig(kind="lsgan"))
    assert scores[loss.argmin(), 0] == pytest.approx(0.0909, abs=1e-4)
    assert loss.min() == pytest.approx(0.0909, abs=1e-4)


@pytest.mark.parametrize("kind", losses.LOSSES)
def test_every_loss_has_the_statistics_that_it_names_and_says_whether_it_has_a_penalty(
    kind, scores
):
    loss = losses.build(losses.LossConfig(kind=kind))
    terms = loss.reals(scores[0]) + loss.fakes(scores[1])
    if loss.penalty is not None:
        images = tf.ones([5, 2, 2, 1])
        terms += loss.penalty(linear_D(tf.ones([2, 2, 1])), *[images] * 3, enlargement=1)
    assert set(loss.statistics) <= terms.components.keys()
    assert all(value.shape == (5,) for value in terms.components.values())
    assert (loss.penalty is None) == (kind == "lsgan") == ("mixed_norms" not in loss.statistics)
