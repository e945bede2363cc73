"""Generator and discriminator of the paper, and the layers they are made of."""

from pgtf.networks.discriminator import Discriminator, DiscriminatorConfig
from pgtf.networks.generator import Generator, GeneratorConfig
from pgtf.networks.latents import latents_from_seeds
from pgtf.networks.layers import (
    EqualizedConv2D,
    EqualizedDense,
    MinibatchStdDev,
    PixelNorm,
    WeightedSum,
)
from pgtf.networks.network import Network

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "EqualizedConv2D",
    "EqualizedDense",
    "Generator",
    "GeneratorConfig",
    "MinibatchStdDev",
    "Network",
    "PixelNorm",
    "WeightedSum",
    "latents_from_seeds",
]
