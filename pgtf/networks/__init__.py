"""Generator and discriminator of the paper, and the layers they are made of."""

from typing import TYPE_CHECKING

from pgtf import lazy
from pgtf.networks.options import DiscriminatorConfig, GeneratorConfig, NetworkConfig
from pgtf.networks.shapes import weight_shapes

if TYPE_CHECKING:
    from pgtf.networks.names import *  # noqa: F403

__all__ = ["DiscriminatorConfig", "GeneratorConfig", "NetworkConfig", "weight_shapes"]
__getattr__ = lazy.names_of("pgtf.networks.names")
