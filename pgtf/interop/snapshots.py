"""Snapshots: G, D and Gs with their options in one HDF5 file, without code."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from pgtf import networks
from pgtf.interop import hdf5, weights
from pgtf.interop.hdf5 import read_attributes, read_hdf5, write_hdf5
from pgtf.networks import DiscriminatorConfig, GeneratorConfig

FORMAT = "pgtf-snapshot"
VERSION = 1
KINDS = {"G": GeneratorConfig, "D": DiscriminatorConfig, "Gs": GeneratorConfig}


def save_snapshot(
    path: hdf5.PathLike,
    G: networks.Generator,
    D: networks.Discriminator,
    Gs: networks.Generator,
    **meta: Any,
) -> None:
    """Writes the three networks to one HDF5 file, whole or not at all.

    Groups `G`, `D` and `Gs` hold the weights under their names. The root attributes `networks`
    and `meta` are JSON: options and lod of each network, and the caller's values.

    Args:
        path: file to write, usually network-snapshot-NNNNNN.h5.
        G, D, Gs: the networks.
        **meta: values that JSON can hold, for example config=..., cur_nimg=....

    Raises:
        OSError: if the disk is full or the folder missing; a previous file survives.
    """
    groups, attributes = pack(G=G, D=D, Gs=Gs)
    attributes |= {"format": FORMAT, "version": VERSION}
    attributes["meta"] = json.dumps(meta, sort_keys=True)
    write_hdf5(path, groups, attributes)


def load_snapshot(
    path: hdf5.PathLike,
) -> tuple[networks.Generator, networks.Discriminator, networks.Generator]:
    """Builds the networks of a snapshot. Returns (G, D, Gs); `load_meta` returns the rest.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, foreign or inconsistent; the message names what.
    """
    groups, attributes = read_hdf5(path)
    _check_format(attributes, path)
    described = described_networks(attributes, path)
    networks = []
    for name, config_class in KINDS.items():
        if name not in described:
            raise ValueError(f"{path}: there is no network {name} in it.")
        options, lod = described[name]["options"], described[name]["lod"]
        arrays = groups.get(name, {})
        networks.append(weights.build(config_class, options, lod, arrays, f"{path}, {name}"))
    G, D, Gs = networks
    return G, D, Gs


def load_meta(path: hdf5.PathLike) -> dict[str, Any]:
    """Reads what the caller of `save_snapshot` added; reads no weights."""
    attributes = read_attributes(path)
    _check_format(attributes, path)
    return _json(attributes, "meta", path)


def pack(**by_name: networks.Network) -> tuple[hdf5.Groups, hdf5.Attributes]:
    """Collects weights and description of named networks: (groups, attributes) for `write_hdf5`."""
    groups = {name: weights.to_arrays(network) for name, network in by_name.items()}
    described = {
        name: {"options": dataclasses.asdict(network.config), "lod": float(network.lod)}
        for name, network in by_name.items()
    }
    return groups, {"networks": json.dumps(described, sort_keys=True)}


def unpack(
    groups: hdf5.Groups,
    attributes: hdf5.Attributes,
    source: hdf5.PathLike,
    **by_name: networks.Network,
) -> None:
    """Puts what `pack` returned into existing networks of the same options, lod included.

    Raises:
        ValueError: if options or weights differ; the message names them.
    """
    described = described_networks(attributes, source)
    for name, network in by_name.items():
        if name not in described:
            raise ValueError(f"{source}: there is no network {name} in it.")
        options = dataclasses.asdict(network.config)
        # Files from before an option was added lack it; its default is how they were trained.
        stored = dataclasses.asdict(type(network.config)()) | described[name]["options"]
        for key in sorted(options.keys() | stored.keys()):
            if options.get(key) != stored.get(key):
                raise ValueError(
                    f"{source}: {name} was stored with another `{key}`. "
                    f"Received: {key}={options.get(key)!r}, stored: {stored.get(key)!r}."
                )
        weights.assign(network, groups.get(name, {}), f"{source}, {name}")
        network.lod = described[name]["lod"]


def described_networks(attributes: hdf5.Attributes, source: hdf5.PathLike) -> dict[str, Any]:
    """Reads options and lod of the networks in a file: {"G": {"options": {...}, "lod": 0.0}}."""
    described = _json(attributes, "networks", source)
    for name, description in described.items():
        match description:
            case {"options": dict(), "lod": float(lod)} if math.isfinite(lod):
                continue
        raise ValueError(f"{source}: no options or no lod of network {name} in `networks`.")
    return described


def _check_format(attributes: hdf5.Attributes, path: hdf5.PathLike) -> None:
    if attributes.get("format") != FORMAT:
        raise ValueError(f"{path}: not a snapshot. Received: format={attributes.get('format')!r}.")
    if attributes.get("version") != VERSION:
        raise ValueError(
            f"{path}: a snapshot of another version of this program. "
            f"Received: version={attributes.get('version')!r}, expected {VERSION}."
        )


def _json(attributes: Mapping[str, Any], name: str, source: hdf5.PathLike) -> dict[str, Any]:
    try:
        value = json.loads(attributes[name])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{source}: attribute `{name}` is missing or not JSON.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{source}: attribute `{name}` must be a JSON object.")
    return value
