"""Shapes computed from options are those of the networks that are built with them."""

import math

import pytest

from pgtf import networks
from pgtf.config.experiments import EXPERIMENTS
from pgtf.networks import DiscriminatorConfig, GeneratorConfig, weight_shapes

BASE = {"resolution": 16, "num_channels": 3, "fmap_base": 48, "fmap_max": 8, "fmap_decay": 0.7}
SMALL = {"structure": "mnist1k", "num_channels": 1, "fmap_base": 16}
BOTH = [
    {},
    {"resolution": 4},
    {"label_size": 5, "fused_scale": False},
    {"use_wscale": False, "use_batchnorm": True},
    {"wscale_constant": "rms"},
    {"wscale_constant": "rms", "use_wscale": False, "resolution": 8},
    {"wscale_constant": "rms", "use_batchnorm": True, "fused_scale": False, "resolution": 8},
    SMALL,
    SMALL | {"progressive": False, "label_size": 3},
    SMALL | {"wscale_constant": "rms", "use_batchnorm": True, "resolution": 8},
]
G_ONLY = [{"latent_size": 5, "normalize_latents": False}, {"use_pixelnorm": False}]
D_ONLY = [
    {"mbstd_group_size": 0},
    {"mbstd_group_size": "all", "use_layernorm": True},
    {"use_layernorm": True, "use_batchnorm": True, "resolution": 8},
    {"mbdisc_kernels": 7, "mbstd_group_size": 1, "label_size": 2},
    {"mbstat_avg": "flat", "use_gdrop": True},
    {"mbstat_avg": "group", "mbstat_num_splits": 4},
    {"mbstat_avg": "spatial", "mbstat_func": "Tmean"},
    {"mbstat_avg": "none"},
    {"mbstat_avg": "gpool", "mbstat_func": "Tsum"},
    SMALL | {"fmap_base": 64, "fmap_divisor": 2, "mbstat_avg": "spatial"},
]


@pytest.mark.parametrize(
    "config",
    [GeneratorConfig(**BASE | options) for options in BOTH + G_ONLY]
    + [DiscriminatorConfig(**BASE | options) for options in BOTH + D_ONLY],
    ids=lambda config: type(config).__name__[0],
)
def test_shapes_and_names_are_those_of_the_built_network(config):
    built = networks.build(config).variables_by_name
    assert {name: tuple(variable.shape) for name, variable in built.items()} == weight_shapes(
        config
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_full_size_networks_have_the_published_number_of_parameters(name):
    experiment = EXPERIMENTS[name]
    for config, number in (
        (experiment.config.G, experiment.G_parameters),
        (experiment.config.D, experiment.D_parameters),
    ):
        shapes = weight_shapes(config).items()
        trained = [shape for name, shape in shapes if not name.endswith("/scale")]
        assert sum(map(math.prod, trained)) == number


def test_options_without_feature_maps_have_no_shapes():
    with pytest.raises(ValueError, match="`fmap_base` must leave feature maps at 16x16"):
        weight_shapes(GeneratorConfig(**BASE | {"fmap_base": 2, "fmap_decay": 1.0}))
