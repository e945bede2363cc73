"""Generates a picture again from its mark."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping

import numpy as np

from pgtf import images
from pgtf.export import film, pictures, samples
from pgtf.export.labels import one_hot
from pgtf.export.recipe import NETWORK
from pgtf.export.samples import Samples
from pgtf.export.source import Source
from pgtf.foreign import samples as stored
from pgtf.foreign.pictures import open_picture
from pgtf.installation import spelled
from pgtf.marks import Mark

MAX_ZOOM = 2**14
MAX_LEVELS = 1  # by which machines and batches may differ


def make_again(source: Source, mark: Mark, path: str) -> np.ndarray:
    """Generates the picture that a mark describes: -> [H, W, C], of 8 bits or the dataset's type.

    Args:
        source: the network.
        mark: mark of the file.
        path: the file, for messages.

    Raises:
        ValueError: it was made by another network, or the mark does not say from what.
    """
    network = mark.facts.get(NETWORK)
    if network is None:
        raise ValueError(
            f"{path}: its mark names no network, so that it cannot be made again. Files "
            "written with --mark=full or --mark=short name theirs."
        )
    if network != source.sha256:
        raise ValueError(
            f"{path}: was made by the network {network[:16]}..., and {source.path} is "
            f"{source.sha256[:16]}... (SHA-256 of the weights)."
        )
    if "Walk" in mark.facts:
        raise ValueError(
            f"{path}: is a film of this network. {spelled('generate.py video')} makes it again."
        )
    try:
        return _generated(source, mark.facts)
    except KeyError as error:
        raise ValueError(
            f"{path}: was made by this network, but its mark does not say from what "
            f"(no {error.args[0]}), so that it cannot be made again."
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: its mark is damaged: {error}") from None


def difference(again: np.ndarray, path: str) -> int:
    """Computes the largest difference between a picture and the pixels of a file, in gray levels.

    Raises:
        OSError, ValueError: the pixels cannot be read.
        ValueError: it is more than 1: the file was changed after it was generated.
    """
    off, same_size = 255, False
    with open_picture(path) as picture:
        if picture.size == (again.shape[1], again.shape[0]):
            same_size = True
            deep = stored.samples(picture)
            mode = "L" if again.shape[2] == 1 else "RGB"
            values = np.asarray(picture.convert(mode)) if deep is None else deep.values
            apart = np.abs(values.reshape(again.shape).astype(float) - again).max()
            off = math.ceil(apart * 255 / _span(again))
    if off > MAX_LEVELS:
        how = f"up to {off} gray levels" if same_size else "their number"
        raise ValueError(
            f"{path}: its pixels differ by {how} from what its network makes of its "
            "mark. It was changed after it was generated."
        )
    return off


def _span(values: np.ndarray) -> float:
    """Returns the distance from black to white, of floats that of the values themselves."""
    if values.dtype.kind == "f":
        return float(np.ptp(values)) or 1.0
    return float(np.iinfo(values.dtype).max)


def _generated(source: Source, facts: Mapping[str, str]) -> np.ndarray:
    """Generates what the facts of a mark describe. Raises KeyError for one that is missing."""
    sampled, labels = _read(source, facts)
    zoom, lod = _integer(facts["Zoom"]), _float(facts["Lod"])
    cells = facts.get("Grid", "1x1").split("x")
    columns, rows = (_integer(number, len(sampled)) for number in (*cells, "1")[:2])
    pictures.check_grid(source.Gs, columns * rows, lod, zoom)
    fakes = source.Gs.run(sampled.latents, labels, lod)
    if "Values" in facts:
        fakes = source.depth.from_model(fakes)
    else:
        fakes = source.depth.shown(fakes, facts.get("Preview"))
    return film.zoomed(images.image_grid(fakes, (columns, rows), images.MID_GRAY), zoom)


def _read(source: Source, facts: Mapping[str, str]) -> tuple[Samples, np.ndarray | None]:
    """Reads latents and labels of a mark. Raises KeyError for a fact that is missing."""
    size, label_size = source.Gs.latent_size, source.label_size
    if "Latents" in facts:
        sampled = samples.from_rows(_decoded("Latents", facts["Latents"], size))
    elif "RandomState" in facts:
        indices = samples.parse_numbers("Indices", facts["Indices"])
        state = _integer(facts["RandomState"], 2**32)
        sampled = samples.from_random_state(size, state, int(indices.max()) + 1, facts["Indices"])
    else:
        sampled = samples.from_seeds(size, facts["Seeds"])
    if not label_size:
        return sampled, None
    if "Labels" in facts:
        labels = _decoded("Labels", facts["Labels"], label_size)
    else:
        classes = samples.parse_numbers("Classes", facts["Classes"])
        labels = one_hot(classes, label_size)
    if len(labels) != len(sampled):
        raise ValueError(f"the mark has {len(sampled)} latents and {len(labels)} labels")
    return sampled, labels


def _integer(text: str, largest: int = MAX_ZOOM) -> int:
    if not (text.isdecimal() and text.isascii() and int(text[:12]) <= largest):
        raise ValueError(f"the mark holds {text[:20]!r} in place of a number up to {largest}")
    return int(text)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"the mark holds {text[:20]!r} in place of a number") from None


def _decoded(name: str, text: str, num_columns: int) -> np.ndarray:
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        return values.reshape(-1, num_columns).astype(np.float32)
    except (binascii.Error, ValueError):
        raise ValueError(f"the mark's {name} are not rows of {num_columns} numbers") from None
