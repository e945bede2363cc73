"""Creation of the layers of G and D, by the names of the original release."""

import abc
import zlib
from typing import Any

import keras

from pgtf.networks.layers import EqualizedConv2D
from pgtf.networks.options import GAIN_RELU, DiscriminatorConfig, GeneratorConfig


class LayerFactory(abc.ABC):
    """Creates layers with the options of a config, and registers those that have weights.

    Attributes:
        config: frozen dataclass of the options.
        policy: Keras dtype policy of the layers that compute in `compute_dtype`; weights, scores,
            images and statistics are always float32.
        layers: the layers with weights by the original's names ("16x16/Conv1"), in its order.
    """

    config: GeneratorConfig | DiscriminatorConfig

    def __init__(
        self,
        config: GeneratorConfig | DiscriminatorConfig,
        seed: int | None,
        compute_dtype: str,
    ) -> None:
        self.config = config
        is_half = compute_dtype != "float32"
        self.policy = keras.DTypePolicy(f"mixed_{compute_dtype}" if is_half else compute_dtype)
        self.layers: dict[str, keras.layers.Layer] = {}
        self._seed = seed

    def _seed_of(self, layer_name: str) -> int | None:
        # One seed per layer name, so that initial weights do not depend on creation order.
        if self._seed is None:
            return None
        return zlib.crc32(f"{self._seed}/{type(self).__name__}/{layer_name}".encode())

    def _options(self, layer_name: str, gain: float = GAIN_RELU) -> dict[str, Any]:
        """Arguments of a layer with equalized learning rate."""
        return {
            "name": keras_name(layer_name),
            "gain": gain,
            "use_wscale": self.config.use_wscale,
            "wscale_constant": self.config.wscale_constant,
            "seed": self._seed_of(layer_name),
            "dtype": self.policy,
        }

    def _conv(self, layer_name: str, fmaps: int, **direction: bool) -> list[keras.layers.Layer]:
        """Creates a 3x3 convolution (up=True, down=True or neither) and the layers after it."""
        options = self._options(layer_name) | {"use_bias": self._use_bias}
        return self._epilogue(layer_name, EqualizedConv2D(fmaps, 3, **direction, **options))

    @property
    def _use_bias(self) -> bool:
        return not self._norms()  # which have their own

    def _epilogue(self, layer_name: str, layer: keras.layers.Layer) -> list[keras.layers.Layer]:
        """Registers a layer and creates those after it: normalizations and activation."""
        self.layers[layer_name] = layer
        layers = [layer]
        for norm in self._norms():
            name = f"{layer_name}/{norm.__name__}"
            self.layers[name] = norm(name=keras_name(name))
            layers.append(self.layers[name])
        return [*layers, self._activation()]

    def _sequential(
        self, layers: list[keras.layers.Layer], shape: tuple[int | None, ...], name: str
    ) -> keras.Sequential:
        """Builds layers for inputs of a shape [None, ...], one after the other."""
        block = keras.Sequential(layers, name=name)
        block.build(shape)
        return block

    @abc.abstractmethod
    def _norms(self) -> list[type[keras.layers.Layer]]:
        """Normalizations between a layer and its activation."""

    @abc.abstractmethod
    def _activation(self) -> keras.layers.Layer:
        """Creates the activation after a layer."""


def keras_name(layer_name: str) -> str:
    """Replaces the slashes of the original's names, which Keras 3 forbids."""
    return layer_name.replace("/", "_")
