"""Weights of trained networks for networks of another resolution, channels or labels.

Blocks that both networks have are taken, by resolution. Finer ones are new; they fade in as in any
training. Layers that see images are new where the number of channels differs, and so are label
columns where the labels do. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from pgtf.networks import DiscriminatorConfig, GeneratorConfig, weight_shapes

Config = TypeVar("Config", GeneratorConfig, DiscriminatorConfig)
State = Literal["taken", "taken in part", "new", "frozen"]

_IMAGE_LAYER = re.compile(r"(ToRGB|FromRGB)_lod(\d+)/(.+)")
_DENSE_OF_LABELS = {"4x4/Dense/weight", "4x4/Dense1/weight", "4x4/Dense1/bias"}


@dataclasses.dataclass(frozen=True)
class Row:
    """State of one layer after a transfer."""

    network: Literal["G", "D"]
    resolution: int  # pixels per side
    layer: str  # "Conv0_up", "ToRGB"
    state: State
    note: str = ""


def config_for(theirs: Config, like: Config) -> Config:
    """Options of the taken network, with resolution, channels, labels and grid of another."""
    return dataclasses.replace(
        theirs,
        num_channels=like.num_channels,
        resolution=like.resolution,
        label_size=like.label_size,
        grid=like.grid,
    )


def transferred(
    theirs: Config,
    arrays: Mapping[str, np.ndarray],
    mine: Config,
    fresh: Mapping[str, np.ndarray],
    same_labels: bool,
) -> tuple[dict[str, np.ndarray], list[Row]]:
    """Fills a network with the weights of another one, as far as they fit.

    Args:
        theirs: options of the trained network.
        arrays: its weights, by the original's names.
        mine: options of the network to fill.
        fresh: its initial weights, which stay where nothing is taken.
        same_labels: the label columns of both mean the same.

    Returns:
        All weights of the network to fill, and one row per layer, coarse to fine.

    Raises:
        ValueError: if blocks that both have differ in shape; says which, and what would fit.
    """
    _check(theirs, mine)
    found: dict[str, np.ndarray] = {}
    states: dict[tuple[int, str], tuple[State, str]] = {}
    for name, initial in fresh.items():
        value, state, note = _one(name, theirs, arrays, mine, np.asarray(initial), same_labels)
        found[name] = value
        resolution, layer = _place(name, mine)
        if states.get((resolution, layer), ("taken", ""))[0] == "taken":
            states[resolution, layer] = (state, note)
    network: Literal["G", "D"] = "G" if isinstance(mine, GeneratorConfig) else "D"
    ordered = sorted(states.items(), key=lambda item: item[0][0])
    return found, [Row(network, *place, *state) for place, state in ordered]


def frozen_names(rows: Sequence[Row], names: Sequence[str], config: Any, count: int) -> set[str]:
    """Names of the weights in the `count` finest taken blocks of D and their fromRGB layers.

    The layers that see images are kept as they are, those that judge them learn. Mo et al. 2020
    (FreezeD).

    Raises:
        ValueError: if fewer blocks were taken.
    """
    taken = sorted({row.resolution for row in rows if row.state == "taken" and row.layer[0] == "C"})
    if not 0 <= count <= len(taken):
        raise ValueError(
            f"`freeze_D` must be in 0 ... {len(taken)}, the blocks of D that were taken. Received: "
            f"freeze_D={count}."
        )
    frozen = set(taken[len(taken) - count :])
    is_new = {(row.resolution, row.layer) for row in rows if row.state == "new"}
    places = {name: _place(name, config) for name in names}
    return {
        name
        for name, (resolution, layer) in places.items()
        if resolution in frozen and (resolution, layer) not in is_new and "Dense" not in layer
    }


def with_frozen(rows: Sequence[Row], names: set[str], config: Any) -> list[Row]:
    """Returns rows in which the layers of D that hold frozen weights say so."""
    places = {_place(name, config) for name in names}
    return [
        dataclasses.replace(row, state="frozen")
        if row.network == "D" and (row.resolution, row.layer) in places
        else row
        for row in rows
    ]


def table(rows: Sequence[Row]) -> str:
    """Formats rows for people: layers in the same state share a line per network and resolution."""
    merged: dict[tuple[str, int, str, str], list[str]] = {}
    for row in rows:
        key = (row.network, row.resolution, row.state, row.note)
        merged.setdefault(key, []).append(row.layer)
    cells = [("network", "resolution", "weights", "layers")]
    for (network, resolution, state, note), layers in merged.items():
        text = ", ".join(layers) + (f" ({note})" if note else "")
        cells.append((network, f"{resolution}x{resolution}", state, text))
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in cells
    )


def _one(
    name: str,
    theirs: Config,
    arrays: Mapping[str, np.ndarray],
    mine: Config,
    initial: np.ndarray,
    same_labels: bool,
) -> tuple[np.ndarray, State, str]:
    """Value of one weight, its state, and a note."""
    source = _their_name(name, theirs, mine)
    if source is None or source not in arrays:
        return initial, "new", ""
    value = np.asarray(arrays[source], np.float32)
    if _IMAGE_LAYER.fullmatch(name):
        if theirs.num_channels != mine.num_channels:
            return initial, "new", f"{_channels(theirs)} -> {_channels(mine)}"
        resolution, _ = _place(name, mine)
        stale = resolution < theirs.resolution
        return value, "taken", f"as of {resolution}x{resolution} in its training" if stale else ""
    if name in _DENSE_OF_LABELS and (theirs.label_size or mine.label_size):
        if same_labels and value.shape == initial.shape:
            return value, "taken", ""
        mixed = _without_labels(name, value, theirs, mine, initial)
        return mixed, "taken in part", "label columns new" if mine.label_size else "labels dropped"
    return value, "taken", ""


def _without_labels(
    name: str, value: np.ndarray, theirs: Config, mine: Config, initial: np.ndarray
) -> np.ndarray:
    """Takes all but the label part: latent rows in G, the column of the score in D."""
    mixed = initial.astype(np.float32, copy=True)
    if isinstance(mine, GeneratorConfig):
        num = len(value) - theirs.label_size
        factor = 1.0
        # The equalized learning rate divides by the root of the number of rows. Normalized latents
        # grow by the same factor.
        if mine.use_wscale and mine.wscale_constant == "he" and not mine.normalize_latents:
            factor = math.sqrt(len(mixed) / len(value))
        mixed[:num] = value[:num] * np.float32(factor)
    else:
        mixed[..., :1] = value[..., :1]
    return mixed


def _their_name(name: str, theirs: Config, mine: Config) -> str | None:
    """Name of the same layer in the other network, whose lod counts from its own resolution."""
    match = _IMAGE_LAYER.fullmatch(name)
    if match is None:
        return name
    lod = int(match[2]) + theirs.resolution_log2 - mine.resolution_log2
    return f"{match[1]}_lod{lod}/{match[3]}" if lod >= 0 else None


def _place(name: str, config: Any) -> tuple[int, str]:
    """Resolution and layer of a weight: "ToRGB_lod1/bias" -> (16, "ToRGB") in a network of 32."""
    if match := _IMAGE_LAYER.fullmatch(name):
        return int(config.resolution) >> int(match[2]), match[1]
    block, layer, *_ = name.split("/")
    return int(block.partition("x")[0]), layer


def _check(theirs: Config, mine: Config) -> None:
    """Raises ValueError unless all blocks that both networks have are of the same shape."""
    # Weights of as many pixels in another arrangement would fit and mean nothing.
    if theirs.grid != mine.grid:
        raise ValueError(
            "`transfer` needs networks of the dataset's grid, because dense layers have weights "
            f"per pixel of it. Received: grid={theirs.grid} in the file, grid={mine.grid} in the "
            f"dataset. What fits is a dataset made with --grid={theirs.grid}."
        )
    problems = list(_differences(theirs, mine))
    if problems:
        raise ValueError(
            "`transfer` needs networks whose common blocks have the same shape. Received: "
            f"{'; '.join(problems[:3])}{' ...' if len(problems) > 3 else ''}. What fits is "
            f"fmap_base={theirs.fmap_base}, fmap_max={theirs.fmap_max}, as in the "
            "file."
        )


def _differences(theirs: Config, mine: Config) -> Iterator[str]:
    shapes, others = weight_shapes(mine), weight_shapes(theirs)
    coarsest = min(theirs.resolution, mine.resolution)
    for name, shape in shapes.items():
        resolution, _ = _place(name, mine)
        source = _their_name(name, theirs, mine)
        if resolution > coarsest or source is None:
            continue
        expected = others.get(source)
        if expected is None:
            yield f"{name} is not in the file"
        elif not (_IMAGE_LAYER.fullmatch(name) or _fits(name, shape, expected, mine)):
            yield f"{name} is {list(shape)} here, {list(expected)} in the file"
    if isinstance(mine, GeneratorConfig) and isinstance(theirs, GeneratorConfig):
        sizes = [c.nf(0) if c.latent_size is None else c.latent_size for c in (mine, theirs)]
        if sizes[0] != sizes[1]:
            yield f"latent vectors have {sizes[0]} values here, {sizes[1]} in the file"


def _fits(name: str, shape: Sequence[int], expected: Sequence[int], mine: Config) -> bool:
    """True if two shapes of a weight agree, but for labels."""
    if name not in _DENSE_OF_LABELS:
        return tuple(shape) == tuple(expected)
    if isinstance(mine, GeneratorConfig):  # Rows are latents, then labels.
        return tuple(shape[1:]) == tuple(expected[1:])
    return tuple(shape[:-1]) == tuple(expected[:-1])  # The last columns are label logits.


def _channels(config: Any) -> str:
    return {1: "gray", 3: "RGB"}.get(config.num_channels, f"{config.num_channels} channels")
