"""Networks that compute in half precision keep what needs single precision."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny

HALVES = {"bfloat16": 2**-8, "float16": 2**-11}  # relative round-off


@pytest.mark.parametrize("dtype", HALVES)
def test_images_and_scores_are_near_those_of_single_precision(rng, dtype):
    latents = rng.normal(size=[4, tiny.LATENT_SIZE]).astype(np.float32)
    reals = tf.constant(rng.uniform(-1, 1, size=[4, 16, 16, 3]), tf.float32)
    single = (tiny.generator()(latents, lod=0.5), *tiny.discriminator(label_size=2)(reals, lod=0.5))
    options = {"compute_dtype": dtype}
    half = (
        tiny.generator(**options)(latents, lod=0.5),
        *tiny.discriminator(label_size=2, **options)(reals, lod=0.5),
    )
    for ours, expected in zip(half, single, strict=True):
        assert ours.dtype == tf.float32
        # Single values can be off by far more, where pixel norm enlarges a pixel near zero.
        assert np.mean(np.abs(ours - expected)) < 4 * HALVES[dtype]
    assert np.any(half[0] != single[0])
    assert np.any(half[1] != single[1])


@pytest.mark.parametrize("dtype", HALVES)
def test_only_layers_between_the_colours_and_the_score_compute_in_half_precision(dtype):
    for network in (tiny.generator(compute_dtype=dtype), tiny.discriminator(compute_dtype=dtype)):
        single = {name for name, layer in network.layers.items() if layer.compute_dtype != dtype}
        colours = {name for name in network.layers if "RGB" in name}
        assert single == colours | ({"4x4/Dense1"} & network.layers.keys())
        assert {v.dtype for v in network.variables_by_name.values()} == {tf.float32}


def test_both_networks_begin_with_the_weights_of_single_precision():
    single, half = tiny.generator(), tiny.generator(compute_dtype="bfloat16")
    for name, array in tiny.arrays_of(single).items():
        np.testing.assert_array_equal(tiny.arrays_of(half)[name], array)
