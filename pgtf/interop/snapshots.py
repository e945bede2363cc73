"""Snapshots: G, D and Gs with their options in one HDF5 file, without code."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from pgtf import networks
from pgtf.interop import contents, hdf5, weights
from pgtf.interop.hdf5 import read_attributes, read_hdf5, write_hdf5
from pgtf.interop.messages import parse_json_object, plain, shown
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
    G, D, Gs = (weights.build(content) for content in read_snapshot(path))
    return G, D, Gs


def read_snapshot(path: hdf5.PathLike) -> list[contents.NetworkContent]:
    """Reads and checks the networks of a snapshot without building them: [G, D, Gs].

    Raises the errors of `load_snapshot`.
    """
    groups, attributes = read_hdf5(path)
    _check_format(attributes, path)
    described = described_networks(attributes, path)
    found = []
    for name, config_class in KINDS.items():
        if name not in described:
            raise ValueError(f"{path}: there is no network {name} in it.")
        source = f"{path}, {name}"
        config = contents.read_config(config_class, described[name]["options"], source)
        lod, arrays = described[name]["lod"], groups.get(name, {})
        found.append(contents.check_network(config, lod, arrays, source))
    return found


def load_meta(path: hdf5.PathLike) -> dict[str, Any]:
    """Reads what the caller of `save_snapshot` added; reads no weights.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or foreign, or a field that training writes has another
            type; the message names it.
    """
    attributes = read_attributes(path)
    _check_format(attributes, path)
    meta = _json(attributes, "meta", path)
    _check_meta(meta, path)
    return meta


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
                    f"{source}: {name} was stored with another `{plain(key)}`. Received: "
                    f"{shown(options.get(key))}, stored: {shown(stored.get(key))}."
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
        raise ValueError(f"{source}: no options or no lod of network {plain(name)} in `networks`.")
    return described


def _check_format(attributes: hdf5.Attributes, path: hdf5.PathLike) -> None:
    format_, version = attributes.get("format"), attributes.get("version")
    if format_ != FORMAT:
        raise ValueError(f"{path}: not a snapshot. Received: format={shown(format_)}.")
    if version != VERSION:
        raise ValueError(
            f"{path}: a snapshot of another version of this program. "
            f"Received: version={shown(version)}, expected {VERSION}."
        )


def _check_meta(meta: Mapping[str, Any], source: hdf5.PathLike) -> None:
    """Raises ValueError if a field that training writes and others read has another type."""
    nimg, names = meta.get("cur_nimg"), meta.get("label_names", [])
    config = meta.get("config", {})
    dataset = config.get("dataset", {}) if isinstance(config, dict) else {}
    if nimg is not None and (type(nimg) is not int or not 0 <= nimg < 2**63):
        raise _wrong_meta(source, "cur_nimg", "a number of images", nimg)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong_meta(source, "label_names", "a list of texts", names)
    if not isinstance(config, dict):
        raise _wrong_meta(source, "config", "an object", config)
    if not isinstance(dataset, dict):
        raise _wrong_meta(source, "config.dataset", "an object", dataset)
    if not isinstance(dataset.get("path"), str | None):
        raise _wrong_meta(source, "config.dataset.path", "text", dataset["path"])
    if not isinstance(mirror := dataset.get("mirror_augment"), bool | None):
        raise _wrong_meta(source, "config.dataset.mirror_augment", "true or false", mirror)


def _wrong_meta(source: hdf5.PathLike, name: str, kind: str, value: Any) -> ValueError:
    return ValueError(f"{source}: `{name}` in `meta` must be {kind}. Received: {shown(value)}.")


def _json(attributes: Mapping[str, Any], name: str, source: hdf5.PathLike) -> dict[str, Any]:
    value = parse_json_object(attributes.get(name))
    if value is None:
        raise ValueError(f"{source}: attribute `{name}` is missing or not a JSON object.")
    return value
