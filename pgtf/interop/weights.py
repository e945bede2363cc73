"""Moves named arrays to and from the variables of a network, checked by name and shape."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf import networks
from pgtf.interop.contents import NetworkContent, check_fit


def to_arrays(network: networks.Network) -> dict[str, np.ndarray]:
    """Copies weights and biases of a network: {"4x4/Conv/weight": float32 array}."""
    import tensorflow as tf  # Reading a file does without it.

    variables = network.variables_by_name
    return {name: tf.convert_to_tensor(variable).numpy() for name, variable in variables.items()}


def sha256_of(network: networks.Network) -> str:
    """Computes the SHA-256 of all weights in canonical order, in hexadecimal.

    Names are sorted. Each weight is its name, a space, its shape as "3,3,8,8" and a line break in
    ASCII, then its float32 values in C order, little-endian. Snapshots and pickles of one network
    have the same.
    """
    digest = hashlib.sha256()
    for name, array in sorted(to_arrays(network).items()):
        digest.update(f"{name} {','.join(map(str, array.shape))}\n".encode("ascii"))
        digest.update(np.ascontiguousarray(array, "<f4").data)
    return digest.hexdigest()


def build(content: NetworkContent) -> Any:
    """Builds the network of a file, with the options, lod and weights that were stored."""
    with networks.zero_weights():
        network = networks.build(content.config)
    _set(network, content.arrays)
    network.lod = content.lod
    return network


def check(network: networks.Network, arrays: Mapping[str, Any], source: str) -> None:
    """Compares arrays with the variables of a network.

    Args:
        network: Generator or Discriminator.
        arrays: {"4x4/Conv/weight": array}.
        source: file and network, for the error message.

    Raises:
        ValueError: if an array is missing, superfluous, misshapen or not of floats: all are named.
    """
    shapes = {name: tuple(v.shape) for name, v in network.variables_by_name.items()}
    check_fit(shapes, arrays, type(network).__name__, source)


def assign(network: networks.Network, arrays: Mapping[str, Any], source: str) -> None:
    """Sets all variables of a network from arrays. Raises the errors of `check`, and sets none."""
    check(network, arrays, source)
    _set(network, arrays)


def _set(network: networks.Network, arrays: Mapping[str, Any]) -> None:
    for name, variable in network.variables_by_name.items():
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite.
            variable.assign(np.asarray(arrays[name], dtype="float32"))
