"""Options -> the network they describe."""

from pgtf.networks.discriminator import Discriminator
from pgtf.networks.generator import Generator
from pgtf.networks.mnist1k import MnistDiscriminator, MnistGenerator

_GENERATORS = {"paper": Generator, "mnist1k": MnistGenerator}
_DISCRIMINATORS = {"paper": Discriminator, "mnist1k": MnistDiscriminator}


def make_generator(*, structure="paper", **options):
    """Makes the Generator of GeneratorConfig's fields and `seed`; ValueError if impossible."""
    return _class_of(_GENERATORS, structure)(structure=structure, **options)


def make_discriminator(*, structure="paper", **options):
    """Makes the Discriminator of DiscriminatorConfig's fields and `seed`; as make_generator."""
    return _class_of(_DISCRIMINATORS, structure)(structure=structure, **options)


def _class_of(classes, structure):
    if structure not in classes:
        raise ValueError(
            f"`structure` must be one of {', '.join(classes)}. Received: structure={structure!r}."
        )
    return classes[structure]
