"""Loads networks of the original TensorFlow release and of its Theano predecessor."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf.interop import theano, weights
from pgtf.interop.unpickle import StoredNetwork, read_pickle
from pgtf.networks import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Network

_KINDS = {"G_paper": "G", "D_paper": "D"}  # build functions of the TensorFlow release
_CONFIGS = {"G": GeneratorConfig, "D": DiscriminatorConfig}
_VERSION = 2  # version of the pickled state; the release wrote no other

# These options of the original change how the graph is built, not what it computes.
# Deviation: networks stored with `dtype` float16 are computed in float32.
_IGNORED = {
    "G": {"dtype", "structure", "is_template_graph", "mbstd_group_size"},  # the last is D's
    "D": {"dtype", "structure", "is_template_graph"},
}


def load_pkl(path: str | os.PathLike[str]) -> tuple[Generator, Discriminator, Generator]:
    """Reads a network pickle of the original releases. Returns (G, D, Gs).

    The pickle is read as data: neither the source text in it nor anything it names is executed.
    It may have the layout of the TensorFlow release (2018) or of the Theano release (2017), whose
    weights are converted. The networks have the weights, options and lod that were stored.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no network pickle, is truncated, names another class or an
            unknown build function or option, or lacks weights; the message names what.
    """
    stored = read_pickle(path)
    stored = stored if isinstance(stored, tuple | list) else (stored,)
    networks: list[Any] = []
    for index, network in enumerate(stored):
        if not isinstance(network, StoredNetwork):
            raise ValueError(f"{path}: no network. Received: {type(network).__name__}.")
        networks.append(_convert(network.state, f"{path}, network {index}"))
    kinds = [type(network) for network in networks]
    if kinds != [Generator, Discriminator, Generator]:
        found = ", ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{path}: must hold G, D and Gs, in this order. Received: {found}.")
    G, D, Gs = networks
    return G, D, Gs


def _convert(state: dict[str, Any], source: str) -> Network:
    """Builds our network from a pickled state of either release."""
    if "build_func_spec" in state:
        _check_state(state, {"build_func_spec": dict, "param_values": list}, source)
        _check_state(state, {"toplevel_params": dict}, source)
        kind, options, lod, arrays = theano.convert(state, source)
    else:
        kind, options, lod, arrays = _convert_state(state, source)
    config_class = _CONFIGS[kind]
    options = {name: value for name, value in options.items() if name not in _IGNORED[kind]}
    known = {field.name for field in dataclasses.fields(config_class)}
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"{source}: unknown options {', '.join(unknown)} of {kind}.")
    options = weights.plain_options(options, source)
    return weights.build(config_class, options, lod, arrays, source)


def _convert_state(state: dict[str, Any], source: str) -> theano.Converted:
    """Converts a state of the TensorFlow release."""
    types = {"build_func_name": str, "static_kwargs": dict, "variables": list}
    _check_state(state, types, source)
    if state.get("version") != _VERSION:
        raise ValueError(
            f"{source}: `version` must be {_VERSION}. Received: version={state.get('version')!r}."
        )
    func = state["build_func_name"]
    if func not in _KINDS:
        raise ValueError(f"{source}: unknown build function {func!r}; known: {', '.join(_KINDS)}.")
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
    return _KINDS[func], state["static_kwargs"], float(lod), arrays


def _check_state(state: Mapping[str, Any], types: Mapping[str, type], source: str) -> None:
    for name, expected in types.items():
        if not isinstance(state.get(name), expected):
            raise ValueError(
                f"{source}: the state of a network needs `{name}` of type {expected.__name__}. "
                f"Received: {type(state.get(name)).__name__}."
            )
