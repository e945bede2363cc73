"""All names that `pgtf.networks` offers. Importing them imports TensorFlow."""

from pgtf.networks.construction import build
from pgtf.networks.discriminator import Discriminator
from pgtf.networks.generator import Generator
from pgtf.networks.initial import zero_weights
from pgtf.networks.latents import latents_from_seeds
from pgtf.networks.layers import (
    EqualizedConv2D,
    EqualizedDense,
    LeakyReLU,
    NearestUp,
    PixelNorm,
    WeightedSum,
)
from pgtf.networks.minibatch_statistics import (
    MinibatchDiscrimination,
    MinibatchStatistic,
    MinibatchStdDev,
)
from pgtf.networks.mnist1k import MnistDiscriminator, MnistGenerator
from pgtf.networks.network import Network
from pgtf.networks.noise import MultiplicativeNoise, NoiseSource
from pgtf.networks.normalization import BatchNorm, LayerNorm
from pgtf.networks.options import DiscriminatorConfig, GeneratorConfig, NetworkConfig

__all__ = [
    "BatchNorm",
    "Discriminator",
    "DiscriminatorConfig",
    "EqualizedConv2D",
    "EqualizedDense",
    "Generator",
    "GeneratorConfig",
    "LayerNorm",
    "LeakyReLU",
    "MinibatchDiscrimination",
    "MinibatchStatistic",
    "MinibatchStdDev",
    "MnistDiscriminator",
    "MnistGenerator",
    "MultiplicativeNoise",
    "NearestUp",
    "Network",
    "NetworkConfig",
    "NoiseSource",
    "PixelNorm",
    "WeightedSum",
    "build",
    "latents_from_seeds",
    "zero_weights",
]
