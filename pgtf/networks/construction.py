"""Networks from their options alone."""

from typing import Any, overload

from pgtf.networks.discriminator import Discriminator
from pgtf.networks.generator import Generator
from pgtf.networks.mnist1k import MnistDiscriminator, MnistGenerator
from pgtf.networks.network import Network
from pgtf.networks.options import DiscriminatorConfig, GeneratorConfig

_GENERATORS = {kind.structure: kind for kind in (Generator, MnistGenerator)}
_DISCRIMINATORS = {kind.structure: kind for kind in (Discriminator, MnistDiscriminator)}


@overload
def build(config: GeneratorConfig, **kwargs: Any) -> Generator: ...
@overload
def build(config: DiscriminatorConfig, **kwargs: Any) -> Discriminator: ...
def build(config: GeneratorConfig | DiscriminatorConfig, **kwargs: Any) -> Network:
    """Builds the network that a config describes: G or D, of its `structure`.

    Args:
        config: GeneratorConfig or DiscriminatorConfig.
        **kwargs: seed and compute_dtype, as in the constructors.
    """
    if isinstance(config, GeneratorConfig):
        return _GENERATORS[config.structure](**vars(config), **kwargs)
    return _DISCRIMINATORS[config.structure](**vars(config), **kwargs)
