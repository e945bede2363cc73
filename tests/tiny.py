"""Networks small enough to test on: 16x16 RGB, at most 8 feature maps."""

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


def sum_of(parts):
    """The whole loss: functions -> step.Terms, as of step.discriminator_parts -> their sum."""
    first, *others = (part() for part in parts)
    return sum(others, start=first)
