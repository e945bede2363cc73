"""What the generator and the discriminator have in common."""

import abc
import math
import zlib

import keras
import tensorflow as tf


class Network(abc.ABC):
    """Named layers made once, and a Keras model per resolution that wires the same layers.

    Growing therefore copies no weights: the model of the next resolution holds the very variables
    of the one before.

    Attributes:
        config: the frozen dataclass of options it was made from.
        policy: Keras dtype policy of the layers that compute in `compute_dtype`; weights, scores,
            images and statistics are float32 in any case.
        lod: level of detail stored with the network, 0 = full resolution; the original's `lod`.
        layers: the layers with weights by the original's names ("16x16/Conv1"), in its order.
        structure: the value of `config.structure` that stands for the class.
    """

    structure = "paper"

    def __new__(cls, *, structure="paper", **options):
        """Makes the subclass that `structure` stands for, so that options alone say what it is."""
        kinds = {kind.structure: kind for kind in (*cls.__subclasses__(), cls)}
        if structure not in kinds:
            raise ValueError(
                f"`structure` must be one of {', '.join(kinds)}. Received: structure={structure!r}."
            )
        return super().__new__(kinds[structure])

    def __init__(self, config, seed=None, compute_dtype="float32"):
        if config.resolution < 4 or config.resolution & (config.resolution - 1):
            raise ValueError(
                "`resolution` must be a power of two, at least 4. "
                f"Received: resolution={config.resolution}."
            )
        self.config = config
        is_half = compute_dtype != "float32"
        self.policy = keras.DTypePolicy(f"mixed_{compute_dtype}" if is_half else compute_dtype)
        self.lod = 0.0
        self.resolution_log2 = int(math.log2(config.resolution))
        self.layers: dict[str, keras.layers.Layer] = {}
        self._seed = seed
        self._models: dict[tuple[int, bool], keras.Model] = {}

    def nf(self, stage):
        """Number of feature maps of a stage; resolution 2**r is stage r - 1. Paper, Table 2."""
        return self.config.nf(stage)

    def model(self, resolution_log2, fading=True):
        """The Keras model at resolution 2**resolution_log2; its last input is alpha, a scalar.

        Without `fading` it has no branch of the resolution before, and computes for any alpha what
        the other one does for 1.
        """
        if not 2 <= resolution_log2 <= self.resolution_log2:
            raise ValueError(
                f"`resolution_log2` must be in 2 ... {self.resolution_log2}. "
                f"Received: resolution_log2={resolution_log2}."
            )
        key = (resolution_log2, fading)
        if key not in self._models:
            self._models[key] = self._wire(*key)
        return self._models[key]

    @property
    def variables_by_name(self):
        """tf.Variables by the original's names, in its order: {"4x4/Conv/weight": variable}."""
        return self._by_name(lambda layer: layer.weights)

    @property
    def trainable_by_name(self):
        """The part of `variables_by_name` that training changes: all but `scale` constants."""
        return self._by_name(lambda layer: layer.trainable_weights)

    def variables_at(self, resolution_log2):
        """The part of `trainable_by_name` that the model of this resolution uses."""
        return self._used_at(resolution_log2, self.trainable_by_name)

    def stored_at(self, resolution_log2):
        """The part of `variables_by_name` that the model of this resolution uses."""
        return self._used_at(resolution_log2, self.variables_by_name)

    @property
    def trainable_variables(self):
        return list(self.trainable_by_name.values())

    def replacements(self, tensors):
        """What `keras.StatelessScope` takes to compute with tensors instead of variables.

        Args:
            tensors: {name: tensor}, names as in `variables_by_name`.
        """
        variables = self._by_name(lambda layer: layer.weights, lambda variable: variable)
        return [(variables[name], tensor) for name, tensor in tensors.items()]

    def model_at(self, lod):
        """The model of a level of detail and its alpha, a float32 scalar tensor."""
        resolution_log2, alpha = self.stage(lod)
        return self.model(resolution_log2, fading=float(alpha) < 1), alpha

    def stage(self, lod):
        """Splits a level of detail: lod -> (resolution_log2, alpha), alpha a float32 scalar."""
        if not 0 <= lod <= self.resolution_log2 - 2:
            raise ValueError(
                f"`lod` must be in 0 ... {self.resolution_log2 - 2}. Received: lod={lod}."
            )
        return self.resolution_log2 - math.floor(lod), tf.constant(1 - lod % 1, tf.float32)

    def copy_weights_from(self, other):
        """Takes over all weights and the lod of a network of the same configuration."""
        pairs = (network.variables_by_name.values() for network in (self, other))
        for target, source in zip(*pairs, strict=True):
            target.assign(source)
        self.lod = other.lod

    def _used_at(self, resolution_log2, variables):
        used = {id(v.value) for v in self.model(resolution_log2).variables}
        return {k: v for k, v in variables.items() if id(v) in used}

    def _by_name(self, weights_of, value_of=lambda variable: variable.value):
        return {
            f"{layer_name}/{variable.name}": value_of(variable)
            for layer_name, layer in self.layers.items()
            for variable in weights_of(layer)
        }

    def _seed_of(self, layer_name):
        # One seed a name, so that weights do not depend on the order in which layers are made.
        if self._seed is None:
            return None
        return zlib.crc32(f"{self._seed}/{type(self).__name__}/{layer_name}".encode())

    @abc.abstractmethod
    def _wire(self, resolution_log2, fading):
        """Makes the Keras model of one resolution out of the layers."""


def keras_name(layer_name):
    """Keras 3 forbids the slash of the original's names."""
    return layer_name.replace("/", "_")
