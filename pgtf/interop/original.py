"""Loads networks of the original TensorFlow release and of its Theano predecessor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf import networks
from pgtf.foreign.messages import shown
from pgtf.foreign.pickles import BYTES_FREE, BYTES_PER_BYTE, StoredNetwork, read_pickle
from pgtf.interop import contents, theano, weights
from pgtf.networks import DiscriminatorConfig, GeneratorConfig

_KINDS = {"G_paper": "G", "D_paper": "D"}  # build functions of the TensorFlow release
_CONFIGS = {"G": GeneratorConfig, "D": DiscriminatorConfig}
_ORDER = [GeneratorConfig, DiscriminatorConfig, GeneratorConfig]  # of the networks in a file
_VERSION = 2  # version of the pickled state; the release wrote no other

# These options of the original change how the graph is built, not what it computes.
# Deviation: networks stored with `dtype` float16 are computed in float32.
_IGNORED = {
    "G": {"dtype", "structure", "is_template_graph", "mbstd_group_size"},  # the last is D's
    "D": {"dtype", "structure", "is_template_graph"},
}


def load_pkl(
    path: str | os.PathLike[str],
) -> tuple[networks.Generator, networks.Discriminator, networks.Generator]:
    """Reads a network pickle of the original releases. Returns (G, D, Gs).

    The pickle is read as data: neither the source text in it nor anything it names is executed.
    It may have the layout of the TensorFlow release (2018) or of the Theano release (2017), whose
    weights are converted. The networks have the weights, options and lod that were stored.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no network pickle, is truncated, names another class or an
            unknown build function or option, or lacks weights; the message names what.
    """
    G, D, Gs = (weights.build(content) for content in read_networks(path))
    return G, D, Gs


def read_networks(path: str | os.PathLike[str]) -> list[contents.NetworkContent]:
    """Reads and checks the networks of a pickle without building them: [G, D, Gs].

    Raises the errors of `load_pkl`.
    """
    stored = read_pickle(path)
    stored = stored if isinstance(stored, tuple | list) else (stored,)
    if len(stored) > len(_ORDER):
        raise ValueError(f"{path}: must hold G, D and Gs. Received: {len(stored)} values.")
    for network in stored:
        if not isinstance(network, StoredNetwork):
            raise ValueError(f"{path}: no network. Received: {type(network).__name__}.")
    states = [network.state for network in stored]
    _check_memory(states, path)
    found = [_convert(state, f"{path}, network {i}") for i, state in enumerate(states)]
    kinds = [type(network.config) for network in found]
    if kinds != _ORDER:
        names = {GeneratorConfig: "Generator", DiscriminatorConfig: "Discriminator"}
        received = ", ".join(names[kind] for kind in kinds)
        raise ValueError(f"{path}: must hold G, D and Gs, in this order. Received: {received}.")
    return found


def _check_memory(states: Sequence[Mapping[Any, Any]], path: str | os.PathLike[str]) -> None:
    """Raises ValueError if the weights take far more memory than the file.

    The networks of a small file may share one large array, of which each would get a copy.
    """
    needed = 0
    for state in states:
        for name in ("variables", "param_values"):
            values = state.get(name)
            for value in values if isinstance(values, list) else []:
                array = value[-1] if isinstance(value, tuple) and value else value
                if isinstance(array, np.ndarray):
                    needed += max(array.nbytes, 4 * array.size)  # a float32 variable
    allowed = BYTES_FREE + BYTES_PER_BYTE * os.path.getsize(path)
    if needed > allowed:
        raise ValueError(
            f"{path}: its weights take far more memory than the file: {needed >> 20} MiB. "
            "Networks of a release share no arrays."
        )


def _convert(state: dict[Any, Any], source: str) -> contents.NetworkContent:
    """Reads our options and weights from a pickled state of either release."""
    if "build_func_spec" in state:
        _check_state(state, {"build_func_spec": dict, "param_values": list}, source)
        _check_state(state, {"toplevel_params": dict}, source)
        return theano.convert(state, source)
    return _convert_state(state, source)


def _convert_state(state: dict[Any, Any], source: str) -> contents.NetworkContent:
    """Converts a state of the TensorFlow release."""
    types = {"build_func_name": str, "static_kwargs": dict, "variables": list}
    _check_state(state, types, source)
    version, func = state.get("version"), state["build_func_name"]
    if type(version) is not int or version != _VERSION:
        raise ValueError(
            f"{source}: `version` must be {_VERSION}. Received: version={shown(version)}."
        )
    if func not in _KINDS:
        known = ", ".join(_KINDS)
        raise ValueError(f"{source}: unknown build function {shown(func)}; known: {known}.")
    kind = _KINDS[func]
    options = {k: v for k, v in state["static_kwargs"].items() if k not in _IGNORED[kind]}
    config = contents.read_config(_CONFIGS[kind], options, source)
    arrays: dict[str, np.ndarray] = {}
    for variable in state["variables"]:
        match variable:
            case (str(name), np.ndarray() | np.floating() as value) if name not in arrays:
                arrays[name] = np.asarray(value)
            case _:
                raise ValueError(f"{source}: `variables` must be distinct names with arrays.")
    lod = arrays.pop("lod", None)
    if lod is None or lod.shape != ():
        raise ValueError(f"{source}: the variable `lod` is missing or not a scalar.")
    return contents.check_network(config, float(lod), arrays, source)


def _check_state(state: Mapping[Any, Any], types: Mapping[str, type], source: str) -> None:
    for name, expected in types.items():
        if not isinstance(state.get(name), expected):
            raise ValueError(
                f"{source}: the state of a network needs `{name}` of type {expected.__name__}. "
                f"Received: {type(state.get(name)).__name__}."
            )
