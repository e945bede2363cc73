"""Networks as files describe them: options, lod and weights, checked before a variable exists.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf.foreign.messages import joined, plain, shown
from pgtf.networks import DiscriminatorConfig, GeneratorConfig, weight_shapes

# Largest options of a network in a file. They leave room for any network that anyone can train;
# beyond them TensorFlow, Keras and floats overflow. Weights are limited by those in the file.
_MAX_INTEGER = 2**31 - 1  # TensorFlow's sizes are int32.
_MAX_RESOLUTION = 2**14
_MAX_VALUES_PER_IMAGE = 2**31
_MAX_DECAY = 64.0  # No fmap_base leaves feature maps beyond it.

_WORDS = {
    bool: "true or false",
    int: "a 32-bit integer",
    float: "a number",
    str: "text",
    types.NoneType: "none",
}


@dataclasses.dataclass(frozen=True, eq=False)
class NetworkContent:
    """One network of a file, whose weights fit its options."""

    config: GeneratorConfig | DiscriminatorConfig
    lod: float
    arrays: Mapping[str, np.ndarray]  # by the original's names


def check_network(
    config: GeneratorConfig | DiscriminatorConfig,
    lod: float,
    arrays: Mapping[str, Any],
    source: str,
) -> NetworkContent:
    """Compares the weights of a file with the shapes that its options give.

    Args:
        config: options, of `read_config`.
        lod: level of detail stored with the network.
        arrays: {"4x4/Conv/weight": array}.
        source: file and network, for messages.

    Raises:
        ValueError: if the lod is impossible, or the weights do not fit: all are named.
    """
    try:
        config.check_lod(lod)
        shapes = weight_shapes(config)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    kind = "Generator" if isinstance(config, GeneratorConfig) else "Discriminator"
    check_fit(shapes, arrays, kind, source)
    return NetworkContent(config, lod, arrays)


def check_fit(
    shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, Any], kind: str, source: str
) -> None:
    """Raises ValueError unless there is one array of floats for each shape and no other.

    The message names all arrays that are missing, superfluous, misshapen or not of floats.
    """
    problems = [f"{name} is missing" for name in shapes if name not in arrays]
    problems += [f"{plain(name)} is unknown" for name in arrays if name not in shapes]
    for name in shapes.keys() & arrays.keys():
        expected, found = tuple(shapes[name]), np.shape(arrays[name])
        if expected != found:
            problems.append(f"{name} must have shape {expected}, found {found}")
        elif np.asarray(arrays[name]).dtype.kind != "f":
            problems.append(f"{name} must be of floats, found {np.asarray(arrays[name]).dtype}")
    if problems:
        listed = joined(sorted(problems), "; ")
        raise ValueError(f"{source}: weights do not fit {kind}: {listed}.")


def read_config(
    config_class: type[GeneratorConfig] | type[DiscriminatorConfig],
    options: Mapping[Any, Any],
    source: str,
) -> GeneratorConfig | DiscriminatorConfig:
    """Makes a config of options from a file; those that are not there have their defaults.

    NumPy's numbers become Python's, and whole floats are taken as integers.

    Raises:
        ValueError: if an option is unknown, of another type or too large; the message names it.
    """
    hints = typing.get_type_hints(config_class)
    if unknown := [name for name in options if name not in hints]:
        kind = "G" if config_class is GeneratorConfig else "D"
        names = joined(sorted(map(plain, unknown)))
        raise ValueError(f"{source}: unknown options {names} of {kind}.")
    values = {name: _read(name, value, hints[name], source) for name, value in options.items()}
    try:
        config = config_class(**values)
        config.check_resolution()
        _check_size(config)
        if isinstance(config, DiscriminatorConfig):
            config.check_splits()
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return config


def _check_size(config: GeneratorConfig | DiscriminatorConfig) -> None:
    if config.resolution > _MAX_RESOLUTION:
        raise ValueError(
            f"`resolution` must be at most {_MAX_RESOLUTION}. "
            f"Received: resolution={config.resolution}."
        )
    if config.num_channels < 1 or config.label_size < 0:
        raise ValueError(
            "`num_channels` must be at least 1 and `label_size` at least 0. Received: "
            f"num_channels={config.num_channels}, label_size={config.label_size}."
        )
    if math.prod(config.image_size) * config.num_channels > _MAX_VALUES_PER_IMAGE:
        raise ValueError(
            "an image must have fewer values. Received: "
            f"resolution={config.resolution}, grid={config.grid}, "
            f"num_channels={config.num_channels}."
        )
    if config.fmap_decay > _MAX_DECAY:
        raise ValueError(
            f"`fmap_decay` must be at most {_MAX_DECAY}. Received: fmap_decay={config.fmap_decay}."
        )


def _read(name: str, value: Any, hint: Any, source: str) -> Any:
    """Converts the value of an option to the type of its field."""
    if isinstance(value, np.generic):
        value = value.item()
    unions = (types.UnionType, typing.Union)
    choices = typing.get_args(hint) if typing.get_origin(hint) in unions else (hint,)
    for choice in choices:
        if typing.get_origin(choice) is typing.Literal:
            if isinstance(value, str) and value in typing.get_args(choice):
                return value
        elif choice is types.NoneType:
            if value is None:
                return None
        elif choice is str:
            if isinstance(value, str):
                return value
        elif (number := _number(value, choice)) is not None:
            return number
    words = " or ".join(
        _WORDS[choice] if choice in _WORDS else " or ".join(typing.get_args(choice))
        for choice in choices
    )
    raise ValueError(f"{source}: option `{name}` must be {words}. Received: {shown(value)}.")


def _number(value: Any, kind: type) -> bool | int | float | None:
    """Converts a number to bool, int or float; None if it is not one, or too large."""
    if not isinstance(value, bool | int | float):
        return None
    if isinstance(value, bool) or kind is bool:
        return bool(value) if kind is bool and value in (0, 1) else None
    if not -_MAX_INTEGER <= value <= _MAX_INTEGER:  # which is also false for NaN
        return None
    if kind is int:
        return int(value) if value == int(value) else None
    return float(value)
