"""Each layer against a NumPy one-liner and a property."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.networks import (
    EqualizedConv2D,
    EqualizedDense,
    MinibatchStdDev,
    NearestUp,
    PixelNorm,
    WeightedSum,
)
from tests import tiny
from tests.networks import oracle


def built(layer, x, rng):
    """Builds a layer with random biases, which would hide mistakes while they are zero."""
    layer.build(x.shape)
    layer.bias.assign(rng.normal(size=layer.bias.shape))
    return layer, *(v.numpy().astype(np.float64) for v in (layer.weight, layer.bias))


@pytest.fixture
def x(rng):
    return rng.normal(size=[3, 6, 8, 5]).astype(np.float32)  # H != W finds transposed axes


def test_dense_is_a_matrix_product_scaled_by_the_he_constant(rng):
    x = rng.normal(size=[3, 7]).astype(np.float32)
    layer, weight, bias = built(EqualizedDense(4, gain=1.5), x, rng)
    np.testing.assert_allclose(layer(x), x @ weight * 1.5 / np.sqrt(7) + bias, rtol=0, atol=2e-6)


def test_dense_map_has_the_channel_as_its_slow_index_and_one_bias_a_channel(rng):
    x = rng.normal(size=[3, 7]).astype(np.float32)
    layer, weight, bias = built(EqualizedDense(5, map_size=4, gain=1.0), x, rng)
    assert (weight.shape, bias.shape) == ((7, 80), (5,))
    expected = (x @ weight / np.sqrt(7)).reshape(3, 5, 4, 4).transpose(0, 2, 3, 1) + bias
    np.testing.assert_allclose(layer(x), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("size", [1, 3])
def test_convolution_is_a_correlation_with_zero_padding(x, rng, size):
    layer, weight, bias = built(EqualizedConv2D(4, size), x, rng)
    expected = oracle.correlate(x, weight * np.sqrt(2 / (size * size * 5))) + bias
    tiny.assert_the_same_but_for_rounding(layer(x), expected)


def test_fused_up_is_nearest_enlarging_then_correlation_with_the_rotated_kernel(x, rng):
    layer, weight, bias = built(EqualizedConv2D(4, 3, up=True), x, rng)
    assert weight.shape == (3, 3, 4, 5)  # out before in
    kernel = weight[::-1, ::-1].transpose(0, 1, 3, 2) * np.sqrt(2 / 45)
    expected = oracle.correlate(x.repeat(2, axis=1).repeat(2, axis=2), kernel) + bias
    tiny.assert_the_same_but_for_rounding(layer(x), expected)


def test_fused_down_is_a_correlation_then_2x2_means(x, rng):
    layer, weight, bias = built(EqualizedConv2D(4, 3, down=True), x, rng)
    convolved = oracle.correlate(x, weight * np.sqrt(2 / 45))
    expected = convolved.reshape(3, 3, 2, 4, 2, 4).mean(axis=(2, 4)) + bias
    tiny.assert_the_same_but_for_rounding(layer(x), expected)


@pytest.mark.parametrize("options", [{}, {"up": True}, {"down": True}])
def test_constant_images_stay_constant_away_from_the_border(rng, options):
    x = np.ones([1, 8, 8, 2], np.float32) * rng.normal(size=2).astype(np.float32)
    layer, _, _ = built(EqualizedConv2D(3, 3, **options), x, rng)
    y = layer(x).numpy()
    margin = y.shape[1] // 4
    inner = y[:, margin:-margin, margin:-margin]
    np.testing.assert_allclose(inner, inner[:, :1, :1] + np.zeros_like(inner), atol=2e-6)


def test_up_and_down_exclude_each_other():
    with pytest.raises(ValueError, match="`up` and `down` exclude each other"):
        EqualizedConv2D(4, 3, up=True, down=True)


@pytest.mark.parametrize("use_wscale", [True, False])
def test_outputs_start_with_variance_gain_squared_with_and_without_equalizing(rng, use_wscale):
    x = rng.normal(size=[64, 256]).astype(np.float32)
    layer = EqualizedDense(256, gain=1.5, use_wscale=use_wscale, seed=1)
    assert np.std(layer(x)) == pytest.approx(1.5, rel=0.02)
    expected = 1 if use_wscale else 1.5 / 16
    assert np.std(layer.weight) == pytest.approx(expected, rel=0.02)
    assert not np.any(layer.bias)


def test_equalizing_only_moves_the_he_constant_out_of_the_weight(x):
    equalized, plain = (EqualizedConv2D(4, 3, use_wscale=w, seed=7) for w in (True, False))
    tiny.assert_the_same_but_for_rounding(equalized(x), plain(x))


def test_pixel_norm_divides_by_the_root_mean_square_of_the_features(x):
    np.testing.assert_allclose(PixelNorm()(x), oracle.pixel_norm(x), rtol=0, atol=1e-6)
    np.testing.assert_allclose(PixelNorm(0.5)(x), oracle.pixel_norm(x, 0.5), rtol=0, atol=1e-6)
    assert PixelNorm().epsilon == 1e-8


def test_pixel_norm_gives_unit_mean_square_whatever_the_scale_and_keeps_zeros(x):
    y = PixelNorm()(x * 1000)
    np.testing.assert_allclose(np.mean(np.square(y), axis=-1), 1, rtol=1e-6)
    tiny.assert_the_same_but_for_rounding(y, PixelNorm()(x))
    assert not np.any(PixelNorm()(np.zeros([2, 3], np.float32)))


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (12, 4), (4, 4), (3, 4), (1, 4), (6, 2)])
def test_stddev_groups_are_every_n_over_g_th_sample(rng, batch, group):
    x = rng.normal(size=[batch, 4, 2, 3]).astype(np.float32)
    y = MinibatchStdDev(group)(x).numpy()
    assert y.shape == (batch, 4, 2, 4)
    np.testing.assert_array_equal(y[..., :3], x)
    num_groups = batch // min(group, batch)
    for n in range(batch):
        members = x[n % num_groups :: num_groups]
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[n, ..., 3], expected, rtol=1e-5)


def test_stddev_of_neighbours_is_not_what_is_taken():
    x = np.float32([0, 5, 0, 5, 0, 5, 0, 5]).reshape(8, 1, 1, 1)  # groups {0 0 0 0} and {5 5 5 5}
    np.testing.assert_allclose(MinibatchStdDev(4)(x)[..., 1], 1e-4, rtol=1e-5)


def test_stddev_of_a_single_sample_is_the_constant_1e_4(rng):
    x = rng.normal(size=[1, 4, 4, 3]).astype(np.float32)
    np.testing.assert_allclose(MinibatchStdDev(4)(x)[..., 3], 1e-4, rtol=1e-5)


@pytest.mark.parametrize(("batch", "group"), [(6, 4), (9, 2), (5, 4)])
def test_a_batch_that_is_no_multiple_of_the_group_is_refused_naming_both(batch, group):
    with pytest.raises(ValueError, match=f"minibatch={batch}, mbstd_group_size={group}"):
        MinibatchStdDev(group)(np.zeros([batch, 4, 4, 2], np.float32))


def test_stddev_takes_any_fitting_batch_when_the_size_is_unknown_while_tracing(rng):
    spec = tf.TensorSpec([None, 4, 4, 2])
    function = tf.function(MinibatchStdDev(4), input_signature=[spec])
    for batch in (2, 4, 8):
        x = rng.normal(size=[batch, 4, 4, 2]).astype(np.float32)
        np.testing.assert_allclose(function(x), MinibatchStdDev(4)(x), rtol=0, atol=1e-6)


def test_weighted_sum_is_linear_and_exact_at_both_ends(rng):
    old, new = rng.normal(size=[2, 3, 4, 4, 5]).astype(np.float32)
    fade = WeightedSum()
    np.testing.assert_array_equal(fade(old, new, tf.constant(0.0)), old)
    np.testing.assert_array_equal(fade(old, new, tf.constant(1.0)), new)
    expected = new * 0.3 + old * 0.7
    np.testing.assert_allclose(fade(old, new, tf.constant(0.3)), expected, rtol=0, atol=1e-6)


def test_nearest_up_repeats_every_pixel_and_its_shape_is_known_when_the_batch_is_not(rng):
    x = rng.normal(size=[3, 4, 6, 5]).astype(np.float32)
    np.testing.assert_array_equal(NearestUp()(x), x.repeat(2, axis=1).repeat(2, axis=2))
    function = tf.function(NearestUp(), input_signature=[tf.TensorSpec([None, 4, 6, 5])])
    assert function.get_concrete_function().outputs[0].shape.as_list() == [None, 8, 12, 5]


@pytest.mark.parametrize("shape", [(3, 7), (3, 6, 8, 5)])
def test_the_rms_constant_makes_weights_of_unit_rms_and_the_same_function(rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    options = {"gain": 1.5, "seed": 3}

    def make(**options):
        is_dense = len(shape) == 2
        return EqualizedDense(4, **options) if is_dense else EqualizedConv2D(4, 3, **options)

    he, plain = make(**options), make(**options, use_wscale=False)
    rms = make(**options, wscale_constant="rms")
    outputs = [layer(x).numpy() for layer in (he, rms, plain)]
    tiny.assert_the_same_but_for_rounding(outputs[1], outputs[0])
    tiny.assert_the_same_but_for_rounding(outputs[2], outputs[0])
    assert np.mean(rms.weight.numpy() ** 2) == pytest.approx(1, rel=1e-6)
    drawn = plain.weight.numpy()
    assert float(rms._scale.numpy()) == pytest.approx(np.sqrt(np.mean(drawn**2)), rel=1e-6)
    assert [v.name for v in rms.trainable_weights] == ["weight", "bias"]
    assert [v.name for v in rms.non_trainable_weights] == ["scale"]
