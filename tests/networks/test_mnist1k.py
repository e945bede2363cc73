"""The small networks of the MNIST-1K test."""

import numpy as np
import pytest

from pgtf import networks
from pgtf.networks import Discriminator, Generator, MnistDiscriminator, MnistGenerator
from tests import tiny

OPTIONS = {
    "num_channels": 3,
    "resolution": 32,
    "fmap_base": 64,
    "fmap_max": 256,
    "fused_scale": False,
}


def shapes(network):
    return {name: tuple(layer.weight.shape) for name, layer in network.layers.items()}


def test_feature_maps_are_those_of_the_paper():
    G = MnistGenerator(**OPTIONS)
    D = MnistDiscriminator(**OPTIONS, fmap_divisor=4, mbstd_group_size=0)
    assert G.latent_size == 64
    assert shapes(G) == {
        "4x4/Dense": (64, 64 * 16),
        "8x8/Conv": (3, 3, 64, 32),
        "16x16/Conv": (3, 3, 32, 16),
        "32x32/Conv": (3, 3, 16, 8),
        **{f"ToRGB_lod{lod}": (3, 3, nf, 3) for lod, nf in enumerate((8, 16, 32, 64))},
    }
    assert shapes(D) == {
        "32x32/Conv": (3, 3, 3, 2),
        "16x16/Conv": (3, 3, 2, 4),
        "8x8/Conv": (3, 3, 4, 8),
        "4x4/Dense": (8 * 16, 1),
        **{f"FromRGB_lod{lod}": (1, 1, 3, nf) for lod, nf in enumerate((2, 4, 8), start=1)},
    }


@pytest.mark.parametrize(("lod", "side"), [(0, 32), (0.4, 32), (1, 16), (2.5, 8), (3, 4)])
def test_progressive_networks_work_at_every_lod(rng, lod, side):
    G, D = MnistGenerator(**OPTIONS, seed=1), MnistDiscriminator(**OPTIONS, seed=1)
    images = G(rng.normal(size=[4, 64]), lod=lod)
    assert images.shape == (4, side, side, 3)
    scores = D(images, lod=lod)[0].numpy()
    assert np.ptp(scores) > 0


def test_growing_at_alpha_0_leaves_images_and_scores_unchanged(rng):
    G, D = MnistGenerator(**OPTIONS, seed=1), MnistDiscriminator(**OPTIONS, seed=1)
    latents = rng.normal(size=[4, 64])
    coarse, fine = G(latents, lod=1.0).numpy(), G(latents, lod=1 - 1e-9).numpy()
    np.testing.assert_allclose(fine, coarse.repeat(2, 1).repeat(2, 2), atol=1e-6)
    np.testing.assert_allclose(D(fine, lod=1 - 1e-9)[0], D(coarse, lod=1.0)[0], atol=1e-5)


def test_networks_that_do_not_grow_have_one_rgb_layer_in_g_and_none_in_d(rng):
    G = MnistGenerator(**OPTIONS, progressive=False)
    D = MnistDiscriminator(**OPTIONS, progressive=False)
    assert [name for name in G.layers if "RGB" in name] == ["ToRGB_lod0"]
    assert not any("RGB" in name for name in D.layers)
    assert D(G(rng.normal(size=[4, 64])))[0].shape == (4, 1)
    for network in (G, D):
        with pytest.raises(ValueError, match="has one resolution, 32x32. Received: 16x16"):
            network.model(4)


def test_the_first_convolution_of_d_sees_the_image_itself(rng):
    """Its score is that of one convolution a resolution, in NumPy's order of operations."""
    D = tiny.with_random_biases(
        MnistDiscriminator(**OPTIONS, progressive=False, mbstd_group_size=0, seed=1), rng
    )
    x = images = rng.uniform(-1, 1, size=[2, 32, 32, 3]).astype(np.float32)
    for res in (32, 16, 8):
        x = D.layers[f"{res}x{res}/Conv"](x).numpy()
        x = np.where(x > 0, x, 0.2 * x)
        x = x.reshape(2, res // 2, 2, res // 2, 2, -1).mean((2, 4))
    flat = x.transpose(0, 3, 1, 2).reshape(2, -1)
    np.testing.assert_allclose(D(images)[0], D.layers["4x4/Dense"](flat), atol=1e-5)


def test_images_are_the_tanh_of_the_blend(rng):
    latents = rng.normal(size=[4, 64])
    linear = MnistGenerator(**OPTIONS, seed=1)(latents, lod=0.5).numpy()
    bent = MnistGenerator(**OPTIONS, seed=1, tanh_at_end=1.5)(latents, lod=0.5)
    np.testing.assert_allclose(bent, 1.5 * np.tanh(linear), atol=1e-6)


def test_a_config_alone_says_which_of_the_four_networks_it_describes():
    for config_class, kinds in (
        (networks.GeneratorConfig, {"paper": Generator, "mnist1k": MnistGenerator}),
        (networks.DiscriminatorConfig, {"paper": Discriminator, "mnist1k": MnistDiscriminator}),
    ):
        for structure, kind in kinds.items():
            config = config_class(resolution=4, fmap_base=8, structure=structure)
            network = networks.build(config, seed=3)
            assert (type(network), network.config) == (kind, config)
            same = kind(resolution=4, fmap_base=8, seed=3)
            for name, variable in same.variables_by_name.items():
                np.testing.assert_array_equal(network.variables_by_name[name], variable)


def test_unknown_structures_are_refused():
    with pytest.raises(ValueError, match="one of paper, mnist1k. Received: structure='resnet'"):
        Generator(structure="resnet")


def test_a_structure_that_another_class_implements_is_refused_naming_the_way_to_build_it():
    for kind, structure in ((Generator, "mnist1k"), (MnistDiscriminator, "paper")):
        with pytest.raises(
            ValueError, match=rf"networks.build\(config\).*: structure='{structure}'"
        ):
            kind(structure=structure)
