"""Networks small enough to test on: 16x16 RGB, at most 8 feature maps."""

import numpy as np

from pgtf import networks

OPTIONS = {"num_channels": 3, "resolution": 16, "fmap_base": 32, "fmap_max": 8}
LATENT_SIZE = 8  # feature maps of stage 0


def generator(seed=1, compute_dtype="float32", **options):
    config = networks.GeneratorConfig(**OPTIONS | options)
    return networks.build(config, seed=seed, compute_dtype=compute_dtype)


def discriminator(seed=1, compute_dtype="float32", **options):
    config = networks.DiscriminatorConfig(**OPTIONS | options)
    return networks.build(config, seed=seed, compute_dtype=compute_dtype)


def with_random_biases(network, rng):
    """Biases start at zero, which hides mistakes: gives them other values in place."""
    for name, variable in network.variables_by_name.items():
        if name.endswith("/bias"):
            variable.assign(rng.normal(size=variable.shape))
    return network


def arrays_of(network):
    """{name: float32 array} of all weights of a network."""
    return {name: v.numpy() for name, v in network.variables_by_name.items()}


def assert_the_same_but_for_rounding(found, expected, tolerance=1e-5):
    """Compares float32 results by their largest difference over the largest expected value.

    Every processor sums in an order of its own, and each sum is off by a few 2^-24 of its largest
    term: 1e-5 is 170 roundings of the largest value, enough for all layers of a network.
    """
    found, expected = (np.asarray(values, np.float64) for values in (found, expected))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def sum_of(parts):
    """The whole loss: functions -> LossTerms, as of objectives.discriminator_parts -> their sum."""
    first, *others = (part() for part in parts)
    return sum(others, start=first)
