"""The common part of the generator and the discriminator."""

import abc
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from pgtf.networks.layer_factory import LayerFactory
from pgtf.networks.options import DiscriminatorConfig, GeneratorConfig

_IMAGE_LAYER = re.compile(r"(?:To|From)RGB_lod(\d+)/")


class Network(LayerFactory):
    """Named layers, created once, and a Keras model per resolution that wires the same layers.

    Growing therefore copies no weights: the model of the next resolution holds the very variables
    of the previous one.

    Attributes:
        lod: level of detail stored with the network, 0 = full resolution; the original's `lod`.
        structure: the value of `config.structure` that the class implements.
    """

    structure: ClassVar[str] = "paper"

    def __init__(
        self,
        config: GeneratorConfig | DiscriminatorConfig,
        seed: int | None = None,
        compute_dtype: str = "float32",
    ) -> None:
        config.check_resolution()
        if config.structure != self.structure:
            raise ValueError(
                f"{type(self).__name__} has `structure` {self.structure}; networks.build(config) "
                f"creates the others. Received: structure={config.structure!r}."
            )
        super().__init__(config, seed, compute_dtype)
        self.lod = 0.0
        self.resolution_log2 = config.resolution_log2
        self._models: dict[tuple[int, bool], keras.Model] = {}

    def nf(self, stage: int) -> int:
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        return self.config.nf(stage)

    def _size(self, res: int) -> tuple[int, int]:
        """Height and width of images and feature maps of resolution 2**res."""
        return self.config.base.size_at(res)

    def model(self, resolution_log2: int, fading: bool = True) -> keras.Model:
        """The Keras model at resolution 2**resolution_log2; its last input is alpha, a scalar.

        With fading=False the lower-resolution branch is omitted and alpha is ignored (as if it were
        1).
        """
        self._check_resolution(resolution_log2)
        key = (resolution_log2, fading and resolution_log2 > 2)  # nothing fades in at 4x4
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
        self.config.check_lod(lod)
        lod = float(lod)
        return self.resolution_log2 - math.floor(lod), tf.constant(1 - lod % 1, tf.float32)

    def copy_weights_from(self, other: "Network") -> None:
        """Copies all weights and the lod of a network of the same configuration."""
        pairs = (network.variables_by_name.values() for network in (self, other))
        for target, source in zip(*pairs, strict=True):
            # Without a copy both would share memory, until an update writes to one of them.
            target.assign(tf.raw_ops.DeepCopy(x=tf.convert_to_tensor(source)))
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
        self._check_resolution(resolution_log2)
        return {k: v for k, v in variables.items() if self._is_used(k, resolution_log2)}

    def _is_used(self, name: str, resolution_log2: int) -> bool:
        """True if the model of a resolution, with the previous one's branch, uses a variable."""
        if match := _IMAGE_LAYER.match(name):  # toRGB or fromRGB
            return resolution_log2 - 1 <= self.resolution_log2 - int(match[1]) <= resolution_log2
        return int(name.partition("x")[0]) <= 2**resolution_log2

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

    @abc.abstractmethod
    def _wire(self, resolution_log2: int, fading: bool) -> keras.Model:
        """Wires the layers into the Keras model of one resolution."""


def as_float32(
    name: str, values: Any, shape: Sequence[int | str], note: str = "", integers: bool = True
) -> tf.Tensor:
    """Converts an argument to a float32 tensor.

    Args:
        name: name of the argument, for the error.
        values: array, tensor or list of real numbers.
        shape: expected shape; a letter names an axis of any length.
        note: more about what is expected, for the error.
        integers: False refuses integers.

    Raises:
        ValueError: `values` has another shape, or does not hold such numbers.
    """
    kind = "real numbers" if integers else "floating-point numbers"
    expected = f"`{name}` must be [{', '.join(map(str, shape))}], {kind}{note}."
    try:
        tensor = tf.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        found = f"{type(values).__name__} that is no such array"
        raise ValueError(f"{expected} Received: {found} ({error}).") from None
    is_whole = tensor.dtype.is_integer or tensor.dtype.is_bool
    is_real = tensor.dtype.is_floating or (integers and is_whole)
    sizes = [size if isinstance(size, int) else None for size in shape]
    if not is_real or not tensor.shape.is_compatible_with(sizes):
        raise ValueError(f"{expected} Received: {tensor.shape}, {tensor.dtype.name}.")
    return tf.cast(tensor, tf.float32)


def alpha_input() -> Any:
    """Creates the input alpha, a true scalar, so that there is one trace per resolution."""
    alpha = keras.Input(batch_shape=(), name="alpha")
    keras.layers.Identity()(alpha)  # Keras 3.10-3.13 refuse an unused input, as at 4x4
    return alpha
