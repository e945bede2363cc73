import keras
import numpy as np
import pytest
import tensorflow as tf

from pgtf import ops
from pgtf.networks import Generator
from tests import tiny
from tests.networks import oracle


@pytest.fixture(scope="module")
def G():
    return tiny.with_random_biases(tiny.generator(), np.random.default_rng(0))


@pytest.fixture
def latents(rng):
    return rng.normal(size=[3, tiny.LATENT_SIZE]).astype(np.float32)


def test_images_of_every_stable_lod_are_those_of_the_formulas(G, latents):
    expected = oracle.generator(tiny.arrays_of(G), latents.astype(np.float64), num_blocks=3)
    for lod, images in zip((2, 1, 0), expected, strict=True):
        tiny.assert_the_same_but_for_rounding(G(latents, lod=lod), images)


def test_images_fade_linearly_from_the_enlarged_coarser_ones(G, latents):
    coarse, fine = G(latents, lod=1).numpy(), G(latents, lod=0).numpy()
    for lod in (0.25, 0.5, 0.875):
        expected = (1 - lod) * fine + lod * oracle.enlarged(coarse)
        tiny.assert_the_same_but_for_rounding(G(latents, lod=lod), expected, 2e-6)


def kinds_of(function, *inputs):
    """Operations of a graph, those inside of its functions not counted."""
    graph = function.get_concrete_function(*inputs).graph
    return [operation.type for operation in graph.get_operations()]


@pytest.mark.parametrize("is_zero", [False, True])
def test_run_takes_another_form_of_pixel_norm_that_xla_and_lite_do_not_have(latents, is_zero):
    G = tiny.with_random_biases(tiny.generator(), np.random.default_rng(0))
    model, alpha = G.model_at(0.0)
    inputs = G.inputs(latents * (0 if is_zero else 1), None, alpha)

    def plain():
        return tf.function(lambda inputs: model(inputs), autograph=False)

    before = kinds_of(plain(), inputs)
    images = G.run(latents * (0 if is_zero else 1))
    assert np.all(np.isfinite(images))
    tiny.assert_the_same_but_for_rounding(images, model(inputs))
    kinds = before, kinds_of(G._for_inference[4, False], inputs), kinds_of(plain(), inputs)
    assert ["EuclideanNorm" in each for each in kinds] == [False, True, False]


def test_run_does_not_leave_out_a_layer_after_the_last_pixel_norm(latents):
    class Halved(Generator):
        def _conv(self, name, fmaps, **direction):
            return [*super()._conv(name, fmaps, **direction), keras.layers.Rescaling(0.5)]

    options = {"num_channels": 3, "resolution": 16, "latent_size": tiny.LATENT_SIZE}
    G = Halved(**options, fmap_base=32, fmap_max=8, seed=0)
    tiny.assert_the_same_but_for_rounding(G.run(latents), G(latents))


@pytest.mark.parametrize("options", [{}, {"use_pixelnorm": False}, {"fused_scale": False}])
@pytest.mark.parametrize("lod", [0.0, 0.5, 2.0])
def test_run_makes_the_images_of_the_plain_model(latents, options, lod):
    G = tiny.with_random_biases(tiny.generator(**options), np.random.default_rng(0))
    tiny.assert_the_same_but_for_rounding(G.run(latents, lod=lod), G(latents, lod=lod))


def test_run_merges_the_last_pixel_norm_into_to_rgb_and_others_do_not(latents, monkeypatch):
    G = tiny.generator()
    normalized_rgb, seen = ops.normalized_rgb, []

    def watched(x, *args):
        seen.append(x.shape)
        return normalized_rgb(x, *args)

    monkeypatch.setattr(ops, "normalized_rgb", watched)
    G(latents)
    assert seen == []
    G.run(latents, lod=0.5)
    assert {tuple(shape) for shape in seen} == {(3, 16, 16, 4)}  # wiring traces nothing


def test_run_takes_another_form_of_wide_convolutions_that_are_not_for_others(rng):
    G = tiny.generator(fmap_base=8192, fmap_max=512, resolution=16)
    latents = rng.normal(size=[2, G.latent_size]).astype(np.float32)
    model, alpha = G.model_at(0.0)
    inputs = G.inputs(latents, None, alpha)
    tiny.assert_the_same_but_for_rounding(G.run(latents), G(latents))
    traced = G._for_inference[4, False]
    kinds = [kinds_of(function, inputs) for function in (traced, tf.function(model))]
    # 4x4/Dense; 4x4/Conv, two enlargements and 8x8/Conv1; 16x16/Conv1's kernels and positions.
    assert [x.count("MatMul") for x in kinds] == [1 + 4 + 1 + 16, 1]
    # toRGB; in the plain model 4x4/Conv, 8x8/Conv1 and 16x16/Conv1 too.
    assert [x.count("Conv2D") for x in kinds] == [1, 4]


def test_without_a_lod_the_stored_one_decides(G, latents):
    try:
        G.lod = 1.5
        assert G(latents).shape == (3, 8, 8, 3)
        np.testing.assert_array_equal(G(latents), G(latents, lod=1.5))
        np.testing.assert_array_equal(G.run(latents), G.run(latents, lod=1.5))
    finally:
        G.lod = 0.0


def test_images_do_not_depend_on_the_scale_of_normalized_latents(G, latents):
    tiny.assert_the_same_but_for_rounding(G(latents * 100), G(latents))
    raw = tiny.generator(normalize_latents=False, use_pixelnorm=False)
    assert np.abs(raw(latents * 100) - raw(latents)).max() > 1


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e-3, 0.01, 1e10, 1e20, 1e37])
def test_scaling_latents_to_any_length_changes_nothing_without_labels(G, latents, scale):
    scaled = latents * np.float32(scale)
    for call in (G, G.run):
        tiny.assert_the_same_but_for_rounding(call(scaled), call(latents), 1e-3)


@pytest.mark.parametrize("scale", [1e20, 1e37])
def test_beside_latents_of_any_length_a_label_only_counts_less(latents, scale, rng):
    G = tiny.with_random_biases(tiny.generator(label_size=4), rng)
    labels = np.eye(4, dtype=np.float32)[:3]
    limit = G(latents, 0 * labels).numpy()
    assert np.abs(G(latents, labels) - limit).max() > 0.1 * np.abs(limit).max()
    for call in (G, G.run):
        found = call(latents * np.float32(scale), labels)
        tiny.assert_the_same_but_for_rounding(found, limit)


def test_running_in_minibatches_with_a_remainder_changes_nothing(G, rng):
    latents = rng.normal(size=[7, tiny.LATENT_SIZE])
    images = G.run(latents, lod=0.5, minibatch_size=3)
    assert (images.shape, images.dtype) == ((7, 16, 16, 3), np.float32)
    tiny.assert_the_same_but_for_rounding(images, G(latents, lod=0.5))


def test_every_minibatch_is_run_with_its_own_labels(rng):
    G = tiny.generator(label_size=4)
    latents = rng.normal(size=[5, tiny.LATENT_SIZE]).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 1]]
    expected = G(latents, labels).numpy()
    images = G.run(latents, labels, minibatch_size=2)
    np.testing.assert_allclose(images, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_labels_join_the_latents_before_normalization_and_default_to_zeros(latents):
    G = tiny.generator(label_size=4)
    labels = np.eye(4, dtype=np.float32)[:3]
    unconditional = tiny.generator(latent_size=tiny.LATENT_SIZE + 4)  # the same sum of inputs
    for name, variable in unconditional.variables_by_name.items():
        variable.assign(G.variables_by_name[name])
    joined = np.concatenate([latents, labels], axis=1)
    np.testing.assert_array_equal(G(latents, labels), unconditional(joined))
    np.testing.assert_array_equal(G(latents), G(latents, np.zeros([3, 4])))
    np.testing.assert_array_equal(G.run(latents, labels), G.run(latents, list(labels)))
    assert np.abs(G(latents, labels) - G(latents)).max() > 0.01


def test_fused_and_unfused_generators_are_the_same_function_of_rotated_kernels(G, latents):
    unfused, fused = tiny.generator(fused_scale=False), tiny.arrays_of(G)
    for name, variable in unfused.variables_by_name.items():
        array = fused[name if name in fused else name.replace("Conv0", "Conv0_up")]
        variable.assign(oracle.up_kernel(array) if "Conv0/weight" in name else array)
    tiny.assert_the_same_but_for_rounding(unfused(latents), G(latents))


def test_without_equalizing_the_generator_starts_as_the_same_function(latents):
    equalized, plain = tiny.generator(), tiny.generator(use_wscale=False)
    tiny.assert_the_same_but_for_rounding(equalized(latents), plain(latents))
    assert np.std(plain.variables_by_name["4x4/Conv/weight"]) < 0.5


def test_relu_and_no_pixel_norm_are_options(G, latents):
    maps = tiny.generator(use_leakyrelu=False, use_pixelnorm=False).model(2).get_layer("4x4")
    features = maps(latents).numpy()
    assert features.min() == 0
    assert np.abs(np.square(features).mean(axis=-1) - 1).min() > 0.1
    normalized = G.model(2).get_layer("4x4")(latents).numpy()
    assert normalized.min() < 0
    np.testing.assert_allclose(np.square(normalized).mean(axis=-1), 1, rtol=1e-4)


def test_images_are_linear_outputs_not_squashed(G, latents):
    G.variables_by_name["ToRGB_lod0/bias"].assign_add([10, 20, 30])
    brighter = G(latents).numpy()
    G.variables_by_name["ToRGB_lod0/bias"].assign_sub([10, 20, 30])
    np.testing.assert_allclose(brighter - G(latents), np.float32([[[[10, 20, 30]]]]) + 0 * brighter)


def test_the_latent_size_defaults_to_the_feature_maps_of_stage_0():
    assert Generator(resolution=4).latent_size == 512
    assert Generator(resolution=4, fmap_base=128).latent_size == 128
    assert Generator(resolution=4, latent_size=3)(np.ones([1, 3])).shape == (1, 4, 4, 1)
