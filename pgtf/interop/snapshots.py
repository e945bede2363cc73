"""Snapshots: G, D and Gs with their options in one HDF5 file, without code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from pgtf import networks
from pgtf.foreign.json_files import SMALL_BYTES, parse_json
from pgtf.foreign.messages import plain, shown
from pgtf.foreign.numbers import MAX_INTEGER
from pgtf.foreign.schema import Between, read_as, resolved
from pgtf.interop import contents, hdf5, weights
from pgtf.interop.hdf5 import read_attributes, read_hdf5, write_hdf5
from pgtf.label_groups import LabelGroup, from_json
from pgtf.label_groups import check as check_groups
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
    meta: dict[str, Any] = read_as(_META, _json(attributes, "meta", path), str(path), within="meta")
    return meta


def read_label_groups(value: Any, label_size: int, source: str) -> tuple[LabelGroup, ...]:
    """Reads kinds of label columns from the parsed JSON of others, such as that of a SavedModel.

    Raises:
        ValueError: it is something else, or not of `label_size` columns; begins with `source`.
    """
    groups = from_json(read_as(_GROUPS, value, source, within="label_groups"))
    try:
        check_groups(groups, label_size)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return groups


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

    Raises the errors of `check`, and has set no variable then.
    """
    check(groups, attributes, source, **by_name)
    described = described_networks(attributes, source)
    for name, network in by_name.items():
        weights.assign(network, groups[name], f"{source}, {name}")
        network.lod = described[name]["lod"]


def check(
    groups: hdf5.Groups,
    attributes: hdf5.Attributes,
    source: hdf5.PathLike,
    **by_name: networks.Network,
) -> None:
    """Compares what `pack` returned with existing networks.

    Raises:
        ValueError: if options, weights or lod differ; the message names them.
    """
    described = described_networks(attributes, source)
    for name, network in by_name.items():
        if name not in described:
            raise ValueError(f"{source}: there is no network {name} in it.")
        place = f"{source}, {name}"
        options = dataclasses.asdict(network.config)
        # Files from before an option was added lack it; its default is how they were trained.
        stored = dataclasses.asdict(type(network.config)()) | described[name]["options"]
        for key in sorted(options.keys() | stored.keys()):
            if options.get(key) != stored.get(key):
                raise ValueError(
                    f"{source}: {name} was stored with another `{plain(key)}`. Received: "
                    f"{shown(options.get(key))}, stored: {shown(stored.get(key))}."
                )
        weights.check(network, groups.get(name, {}), place)
        try:
            network.config.check_lod(described[name]["lod"])
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None


def described_networks(attributes: hdf5.Attributes, source: hdf5.PathLike) -> dict[str, Any]:
    """Reads options and lod of the networks in a file: {"G": {"options": {...}, "lod": 0.0}}."""
    described = _json(attributes, "networks", source)
    found: dict[str, Any] = read_as(_NETWORKS, described, str(source), within="networks")
    return found


def _check_format(attributes: hdf5.Attributes, path: hdf5.PathLike) -> None:
    format_, version = attributes.get("format"), attributes.get("version")
    if format_ != FORMAT:
        raise ValueError(f"{path}: not a snapshot. Received: format={shown(format_)}.")
    if version != VERSION:
        raise ValueError(
            f"{path}: a snapshot of another version of this program. "
            f"Received: version={shown(version)}, expected {VERSION}."
        )


class _Described(TypedDict):
    """One network in the attribute `networks`."""

    options: dict[str, Any]
    lod: float


class _Dataset(TypedDict, total=False):
    path: str | None
    mirror_augment: bool | None


class _Config(TypedDict, total=False):
    dataset: _Dataset


_Column = Annotated[int, Between(0, MAX_INTEGER)]


class _Group(TypedDict):
    """A group of label columns, as dataset.json describes it; it may have further lists."""

    kind: Literal["class", "multilabel", "continuous"]
    columns: tuple[_Column, _Column]


class _ListedGroup(_Group, total=False):
    """Lists of one value per column."""

    names: list[str]
    mean: list[float]
    deviation: list[float]


class _Meta(TypedDict, total=False):
    """The fields of `meta` that training writes and others read; there may be more."""

    cur_nimg: Annotated[int, Between(0, MAX_INTEGER, "a number of images")] | None
    label_names: list[str]
    label_groups: list[_ListedGroup]
    dtype: Literal["uint8", "uint16", "float32"]
    range: tuple[float, float]
    preview: str
    preview_range: tuple[float, float]
    config: _Config


# Annotations are text, which must not be evaluated while a file is read.
_DESCRIBED, _META, _LISTED, *_ = map(
    resolved, (_Described, _Meta, _ListedGroup, _Group, _Config, _Dataset)
)
_NETWORKS = dict[str, _DESCRIBED]  # type: ignore[valid-type]
_GROUPS = list[_LISTED]  # type: ignore[valid-type]


def _json(attributes: Mapping[str, Any], name: str, source: hdf5.PathLike) -> dict[str, Any]:
    """Parses an attribute that holds a JSON object."""
    text, value = attributes.get(name), None
    if isinstance(text, str):
        value = parse_json(text, f"{source}: attribute `{name}`", max_bytes=SMALL_BYTES)
    if not isinstance(value, dict):
        raise ValueError(f"{source}: attribute `{name}` is missing or not a JSON object.")
    return value
