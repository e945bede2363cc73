"""The common part of the generator and the discriminator."""

import abc
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from pgtf.networks.layers import GAIN_RELU, EqualizedConv2D
from pgtf.networks.options import DiscriminatorConfig, GeneratorConfig


class Network(abc.ABC):
    """Named layers, created once, and a Keras model per resolution that wires the same layers.

    Growing therefore copies no weights: the model of the next resolution holds the very variables
    of the previous one.

    Attributes:
        config: frozen dataclass of the options.
        policy: Keras dtype policy of the layers that compute in `compute_dtype`; weights, scores,
            images and statistics are always float32.
        lod: level of detail stored with the network, 0 = full resolution; the original's `lod`.
        layers: the layers with weights by the original's names ("16x16/Conv1"), in its order.
        structure: the value of `config.structure` that the class implements.
    """

    structure: ClassVar[str] = "paper"

    config: GeneratorConfig | DiscriminatorConfig

    def __init__(
        self,
        config: GeneratorConfig | DiscriminatorConfig,
        seed: int | None = None,
        compute_dtype: str = "float32",
    ) -> None:
        if config.resolution < 4 or config.resolution & (config.resolution - 1):
            raise ValueError(
                "`resolution` must be a power of two, at least 4. "
                f"Received: resolution={config.resolution}."
            )
        if config.structure != self.structure:
            raise ValueError(
                f"{type(self).__name__} has `structure` {self.structure}; networks.build(config) "
                f"creates the others. Received: structure={config.structure!r}."
            )
        self.config = config
        is_half = compute_dtype != "float32"
        self.policy = keras.DTypePolicy(f"mixed_{compute_dtype}" if is_half else compute_dtype)
        self.lod = 0.0
        self.resolution_log2 = int(math.log2(config.resolution))
        self.layers: dict[str, keras.layers.Layer] = {}
        self._seed = seed
        self._models: dict[tuple[int, bool], keras.Model] = {}

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        return self.config.nf(stage)

    def model(self, resolution_log2: int, fading: bool = True) -> keras.Model:
        """The Keras model at resolution 2**resolution_log2; its last input is alpha, a scalar.

        With fading=False the lower-resolution branch is omitted and alpha is ignored (as if it were
        1).
        """
        self._check_resolution(resolution_log2)
        key = (resolution_log2, fading)
        if key not in self._models:
            self._models[key] = self._wire(*key)
        return self._models[key]

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """All variables by the original's names, in its order: {"4x4/Conv/weight": variable}."""
        return self._by_name(lambda layer: layer.weights)

    @property
    def trainable_by_name(self) -> dict[str, tf.Variable]:
        """The part of `variables_by_name` that training changes: all but `scale` constants."""
        return self._by_name(lambda layer: layer.trainable_weights)

    def variables_at(self, resolution_log2: int) -> dict[str, tf.Variable]:
        """The part of `trainable_by_name` that the model of this resolution uses."""
        return self._used_at(resolution_log2, self.trainable_by_name)

    def stored_at(self, resolution_log2: int) -> dict[str, tf.Variable]:
        """The part of `variables_by_name` that the model of this resolution uses."""
        return self._used_at(resolution_log2, self.variables_by_name)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """The variables of `trainable_by_name`."""
        return list(self.trainable_by_name.values())

    def replacements(self, tensors: Mapping[str, tf.Tensor]) -> list[tuple[Any, tf.Tensor]]:
        """Pairs for `keras.StatelessScope`, to compute with tensors instead of variables.

        Args:
            tensors: {name: tensor}, names as in `variables_by_name`.
        """
        variables = self._by_name(lambda layer: layer.weights, lambda variable: variable)
        return [(variables[name], tensor) for name, tensor in tensors.items()]

    def model_at(self, lod: float) -> tuple[keras.Model, tf.Tensor]:
        """The model of a level of detail and its alpha, a float32 scalar tensor."""
        resolution_log2, alpha = self.stage(lod)
        return self.model(resolution_log2, fading=float(alpha) < 1), alpha

    def stage(self, lod: float) -> tuple[int, tf.Tensor]:
        """Splits a level of detail: lod -> (resolution_log2, alpha), alpha a float32 scalar."""
        if not 0 <= lod <= self.resolution_log2 - 2:
            raise ValueError(
                f"`lod` must be in 0 ... {self.resolution_log2 - 2}. Received: lod={lod}."
            )
        return self.resolution_log2 - math.floor(lod), tf.constant(1 - lod % 1, tf.float32)

    def copy_weights_from(self, other: "Network") -> None:
        """Copies all weights and the lod of a network of the same configuration."""
        pairs = (network.variables_by_name.values() for network in (self, other))
        for target, source in zip(*pairs, strict=True):
            target.assign(source)
        self.lod = other.lod

    def _check_resolution(self, resolution_log2: int) -> None:
        """Raises ValueError for a resolution that the network has no model of."""
        if not 2 <= resolution_log2 <= self.resolution_log2:
            raise ValueError(
                f"`resolution_log2` must be in 2 ... {self.resolution_log2}. "
                f"Received: resolution_log2={resolution_log2}."
            )

    def _used_at(
        self, resolution_log2: int, variables: Mapping[str, tf.Variable]
    ) -> dict[str, tf.Variable]:
        used = {id(v.value) for v in self.model(resolution_log2).variables}
        return {k: v for k, v in variables.items() if id(v) in used}

    def _by_name(
        self,
        weights_of: Callable[[keras.layers.Layer], Any],
        value_of: Callable[[Any], Any] = lambda variable: variable.value,
    ) -> dict[str, Any]:
        return {
            f"{layer_name}/{variable.name}": value_of(variable)
            for layer_name, layer in self.layers.items()
            for variable in weights_of(layer)
        }

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

    @abc.abstractmethod
    def _wire(self, resolution_log2: int, fading: bool) -> keras.Model:
        """Wires the layers into the Keras model of one resolution."""


def alpha_input() -> Any:
    """Creates the input alpha, a true scalar, so that there is one trace per resolution."""
    alpha = keras.Input(batch_shape=(), name="alpha")
    keras.layers.Identity()(alpha)  # Keras 3.10-3.13 refuse an unused input, as at 4x4
    return alpha


def keras_name(layer_name: str) -> str:
    """Replaces the slashes of the original's names, which Keras 3 forbids."""
    return layer_name.replace("/", "_")
