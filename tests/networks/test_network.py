"""The common part of G and D: sizes, levels of detail, seeds, shared weights."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pgtf import networks
from pgtf.networks import Discriminator, Generator
from tests import tiny

ABLATION = {"resolution": 128, "num_channels": 3, "fmap_base": 2048}  # Paper, Table 1
CIFAR10 = {"resolution": 32, "num_channels": 3, "fmap_base": 4096, "fmap_max": 128}


@pytest.fixture
def make():
    """Makes networks whose weights are zeros: drawing 23 million takes a second."""

    def build(kind, **options):
        with networks.zero_weights():
            return kind(**options)

    return build


def num_parameters(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize(
    ("G_parameters", "D_parameters", "D_options", "options"),
    [
        (23_079_115, 23_087_249, {}, {"resolution": 1024, "num_channels": 3}),
        (23_044_309, 23_052_353, {}, {"resolution": 256, "num_channels": 3}),
        (1_296_908, 1_298_689, {}, CIFAR10),
        (13_629_810, 13_636_897, {}, ABLATION),
        (13_629_810, 13_632_289, {"mbstd_group_size": 0}, ABLATION),
    ],
)
def test_parameters_are_as_many_as_in_the_papers_networks(
    make, G_parameters, D_parameters, D_options, options
):
    assert num_parameters(make(Generator, **options)) == G_parameters
    assert num_parameters(make(Discriminator, **options, **D_options)) == D_parameters


def test_feature_maps_at_1024_are_those_of_table_2(make):
    G = make(Generator, resolution=1024, num_channels=3)
    D = make(Discriminator, resolution=1024, num_channels=3)
    table = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}
    for lod, (resolution, fmaps) in enumerate(reversed(table.items())):
        coarser = table.get(resolution // 2, 512)
        conv0, conv1 = f"{resolution}x{resolution}/Conv0", f"{resolution}x{resolution}/Conv1"
        if resolution > 4:
            assert G.layers[f"{conv0}_up"].weight.shape == (3, 3, fmaps, coarser)
            assert G.layers[conv1].weight.shape == (3, 3, fmaps, fmaps)
            assert D.layers[conv0].weight.shape == (3, 3, fmaps, fmaps)
            assert D.layers[f"{conv1}_down"].weight.shape == (3, 3, fmaps, coarser)
        assert G.layers[f"ToRGB_lod{lod}"].weight.shape == (1, 1, fmaps, 3)
        assert D.layers[f"FromRGB_lod{lod}"].weight.shape == (1, 1, 3, fmaps)
    assert G.layers["4x4/Dense"].weight.shape == (512, 512 * 16)
    assert G.layers["4x4/Conv"].weight.shape == (3, 3, 512, 512)
    assert D.layers["4x4/Conv"].weight.shape == (3, 3, 513, 512)
    assert D.layers["4x4/Dense0"].weight.shape == (512 * 16, 512)
    assert D.layers["4x4/Dense1"].weight.shape == (512, 1)


@pytest.mark.parametrize(
    ("options", "fmaps"),
    [
        ({}, [512, 512, 512, 512, 512, 256, 128, 64, 32, 16]),
        ({"fmap_base": 2048}, [512, 512, 512, 256, 128, 64, 32, 16, 8, 4]),
        ({"fmap_base": 100, "fmap_decay": 0.5}, [100, 70, 50, 35, 25, 17, 12, 8, 6, 4]),
        ({"fmap_base": 100, "fmap_max": 40, "fmap_decay": 0}, [40] * 10),
    ],
)
def test_feature_maps_halve_by_the_decay_rounded_down_up_to_a_maximum(options, fmaps):
    G = Generator(resolution=4, latent_size=1, **options)
    assert [G.nf(stage) for stage in range(10)] == fmaps


def test_names_are_the_originals_in_its_order():
    blocks = ["8x8/Conv0_up", "8x8/Conv1"]
    G_layers = ["4x4/Dense", "4x4/Conv", "ToRGB_lod1", *blocks, "ToRGB_lod0"]
    assert list(tiny.generator(resolution=8).layers) == G_layers
    unfused = ["FromRGB_lod1", "8x8/Conv0", "8x8/Conv1", "FromRGB_lod0"]
    last = ["4x4/Conv", "4x4/Dense0", "4x4/Dense1"]
    D = tiny.discriminator(resolution=8, fused_scale=False)
    assert sorted(D.layers) == sorted(unfused + last)
    assert list(D.variables_by_name)[:2] == ["FromRGB_lod0/weight", "FromRGB_lod0/bias"]
    assert "8x8/Conv1_down" in tiny.discriminator(resolution=8).layers


@pytest.mark.parametrize("make_network", [tiny.generator, tiny.discriminator])
@pytest.mark.parametrize("lod", [-0.1, 2.1, 3, float("nan")])
def test_a_lod_outside_the_networks_levels_is_refused(make_network, lod):
    network = make_network()
    with pytest.raises(ValueError, match=rf"`lod` must be in 0 ... 2. Received: lod={lod}"):
        network.stage(lod)


@pytest.mark.parametrize(
    ("lod", "resolution_log2", "alpha"),
    [(0, 4, 1), (0.25, 4, 0.75), (0.999, 4, 0.001), (1, 3, 1), (1.5, 3, 0.5), (2, 2, 1)],
)
def test_a_lod_is_a_resolution_and_the_weight_of_its_finest_branch(lod, resolution_log2, alpha):
    stage = tiny.generator().stage(lod)
    assert (stage[0], float(stage[1])) == (resolution_log2, pytest.approx(alpha, abs=1e-6))


@pytest.mark.parametrize("resolution", [0, 2, 12, 33])
def test_a_resolution_that_is_no_power_of_two_from_4_is_refused(resolution):
    with pytest.raises(ValueError, match=f"Received: resolution={resolution}"):
        Generator(resolution=resolution)


def test_a_model_of_a_resolution_that_the_network_does_not_have_is_refused():
    for resolution_log2 in (1, 5):
        with pytest.raises(ValueError, match=f"2 ... 4. Received: .*={resolution_log2}"):
            tiny.generator().model(resolution_log2)


def test_equal_seeds_give_equal_weights_whatever_was_made_before():
    first = tiny.arrays_of(tiny.generator(seed=5))
    keras.utils.set_random_seed(3)
    tiny.discriminator(seed=5)
    second = tiny.generator(seed=5)
    second.model(2), second.model(4)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second.variables_by_name[name])


def test_weights_follow_from_seed_and_name_so_a_larger_network_starts_with_the_same_ones():
    # fmap_max alone decides up to 16x16.
    options = {"fmap_base": 64, "fmap_max": 8}
    small = tiny.arrays_of(tiny.discriminator(resolution=8, **options))
    large = tiny.arrays_of(tiny.discriminator(resolution=16, **options))
    for name in ("8x8/Conv0/weight", "8x8/Conv1_down/weight", "4x4/Dense1/weight"):
        np.testing.assert_array_equal(small[name], large[name])


def test_no_two_layers_networks_or_seeds_share_their_weights():
    G, D = tiny.generator(seed=1, fmap_base=4096), tiny.discriminator(seed=1, fmap_base=4096)
    other = tiny.generator(seed=2, fmap_base=4096)
    flat = [
        v.numpy().flat[:8].tobytes()
        for network in (G, D, other)
        for name, v in network.variables_by_name.items()
        if name.endswith("/weight")
    ]
    assert len(set(flat)) == len(flat) == 9 + 10 + 9


def test_without_a_seed_every_network_is_another():
    first, second = tiny.generator(seed=None), tiny.generator(seed=None)
    name = "4x4/Dense/weight"
    assert np.any(first.variables_by_name[name].numpy() != second.variables_by_name[name].numpy())


def test_copying_takes_over_every_weight_and_the_lod():
    source, target = tiny.generator(seed=1), tiny.generator(seed=2)
    source.lod = 1.5
    target.copy_weights_from(source)
    assert target.lod == 1.5
    for name, variable in target.variables_by_name.items():
        np.testing.assert_array_equal(variable, source.variables_by_name[name])
    with pytest.raises(ValueError, match="argument"):
        target.copy_weights_from(tiny.generator(resolution=8))


def test_variables_at_a_resolution_are_its_blocks_and_its_two_rgb_layers():
    def layers(names):
        return sorted({name.rsplit("/", 1)[0] for name in names})

    G = tiny.generator()
    base, eight = ["4x4/Conv", "4x4/Dense"], ["8x8/Conv0_up", "8x8/Conv1"]
    assert layers(G.variables_at(2)) == [*base, "ToRGB_lod2"]
    assert layers(G.variables_at(3)) == [*base, *eight, "ToRGB_lod1", "ToRGB_lod2"]
    sixteen = ["16x16/Conv0_up", "16x16/Conv1"]
    assert layers(G.variables_at(4)) == [*sixteen, *base, *eight, "ToRGB_lod0", "ToRGB_lod1"]
    assert layers(tiny.discriminator().variables_at(2)) == [
        *["4x4/Conv", "4x4/Dense0", "4x4/Dense1"],
        "FromRGB_lod2",
    ]


def test_no_layer_is_traced_while_networks_are_built_and_wired(monkeypatch):
    """Keras traces a layer that does not state the shape of its output: 137 at 1024x1024."""
    traced = []
    original = keras.src.backend.compute_output_spec
    monkeypatch.setattr(
        keras.src.backend,
        "compute_output_spec",
        lambda function, *args, **kwargs: (
            traced.append(function) or original(function, *args, **kwargs)
        ),
    )
    for options in ({}, {"fused_scale": False, "use_batchnorm": True, "label_size": 3}):
        noisy = {"use_gdrop": True, "use_layernorm": True, "mbdisc_kernels": 2} if options else {}
        for network in (tiny.generator(**options), tiny.discriminator(**options, **noisy)):
            for key in itertools.product((2, 3, 4), (True, False)):
                network.model(*key)
    assert traced == []
    keras.layers.Lambda(tf.identity)(keras.Input([3]))
    assert len(traced) == 1


def test_weights_that_will_be_loaded_are_zeros_and_cost_no_random_values():
    with networks.zero_weights():
        D = tiny.discriminator(mbdisc_kernels=2, wscale_constant="rms")
    weights = {name: v for name, v in tiny.arrays_of(D).items() if not name.endswith("/bias")}
    assert not any(np.any(values) for values in weights.values())
    assert np.all(tiny.arrays_of(tiny.discriminator())["4x4/Conv/weight"])  # random again


def test_a_copy_has_the_weights_of_the_original_in_memory_of_its_own():
    G = tiny.generator(seed=3)
    with networks.zero_weights():
        Gs = tiny.generator()
    Gs.copy_weights_from(G)
    before = tiny.arrays_of(Gs)
    for name, values in tiny.arrays_of(tiny.generator(seed=3)).items():
        np.testing.assert_array_equal(before[name], values)
    for variable in G.variables_by_name.values():
        # Writes in place, as the optimizer does.
        tf.raw_ops.AssignAddVariableOp(resource=variable.handle, value=tf.ones(variable.shape))
    for name, values in tiny.arrays_of(Gs).items():
        np.testing.assert_array_equal(before[name], values)
