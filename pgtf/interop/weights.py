"""Moves named arrays to and from the variables of a network, checked by name and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf import networks


def to_arrays(network: networks.Network) -> dict[str, np.ndarray]:
    """Copies weights and biases of a network: {"4x4/Conv/weight": float32 array}."""
    variables = network.variables_by_name
    return {name: tf.convert_to_tensor(variable).numpy() for name, variable in variables.items()}


def plain_options(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Checks that options from outside are numbers, truth values or None; NumPy's become Python's.

    Raises:
        ValueError: if one is something else; the message names it.
    """
    plain = {}
    for name, value in options.items():
        plain[name] = value.item() if isinstance(value, np.generic) else value
        if plain[name] is not None and not isinstance(plain[name], bool | int | float):
            raise ValueError(f"{source}: option `{name}` must be a number or a truth value.")
    return plain


def build(
    config_class: type[networks.GeneratorConfig] | type[networks.DiscriminatorConfig],
    options: Mapping[str, Any],
    lod: float,
    arrays: Mapping[str, Any],
    source: str,
) -> Any:
    """Builds a network with the given options, lod and weights.

    Args:
        config_class: GeneratorConfig or DiscriminatorConfig.
        options: its fields.
        lod: level of detail stored with the network.
        arrays, source: as in `assign`.

    Raises:
        ValueError: if an option or the lod is impossible, or the weights do not fit.
    """
    try:
        network = networks.build(config_class(**options))
        network.stage(lod)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from None
    assign(network, arrays, source)
    network.lod = lod
    return network


def assign(network: networks.Network, arrays: Mapping[str, Any], source: str) -> None:
    """Sets all variables of a network from arrays named like them.

    Args:
        network: Generator or Discriminator.
        arrays: {"4x4/Conv/weight": array}.
        source: file and network, for the error message.

    Raises:
        ValueError: if an array is missing, superfluous, misshapen or not of floats: all are named.
            No variable has been set then.
    """
    variables = network.variables_by_name
    problems = [f"{name} is missing" for name in variables if name not in arrays]
    problems += [f"{name} is unknown" for name in arrays if name not in variables]
    for name in variables.keys() & arrays.keys():
        expected, found = tuple(variables[name].shape), tuple(np.shape(arrays[name]))
        if expected != found:
            problems.append(f"{name} must have shape {expected}, found {found}")
        elif np.asarray(arrays[name]).dtype.kind != "f":
            problems.append(f"{name} must be of floats, found {np.asarray(arrays[name]).dtype}")
    if problems:
        kind = type(network).__name__
        raise ValueError(f"{source}: weights do not fit {kind}: {'; '.join(sorted(problems))}.")
    for name, variable in variables.items():
        variable.assign(np.asarray(arrays[name], dtype="float32"))
