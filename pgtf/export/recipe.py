"""Facts from which a generated file can be made again, for its mark; `remake` reads them back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Literal

import numpy as np

from pgtf import images
from pgtf.depth import Depth
from pgtf.export import samples
from pgtf.export.labels import one_hot
from pgtf.export.samples import Samples
from pgtf.marks import TRAINED, Mark, in_png

KINDS = ("full", "short", "none")
Kind = Literal["full", "short", "none"]
Facts = dict[str, str]
MAX_FACT = 2**20  # characters; of a longer fact the mark holds the SHA-256
NETWORK = "Network"  # SHA-256 of the weights


class Marker:
    """Makes the marks of one network's files, as `--mark` says.

    Args:
        kind: "full", "short" = without what differs between files of one network, or "none".
        network: SHA-256 of the weights of Gs; None = several networks made the pixels.
    """

    def __init__(self, kind: Kind, network: str | None) -> None:
        self._kind = kind
        self._constant = {} if network is None else {NETWORK: network}

    def __call__(self, facts: Mapping[str, str], source_type: str = TRAINED) -> Mark | None:
        """Makes a mark; None if files are not marked."""
        if self._kind == "none":
            return None
        chosen = dict(facts) if self._kind == "full" else {}
        for name, value in facts.items() if chosen else ():
            if len(value) > MAX_FACT:
                del chosen[name]
                chosen[f"{name}SHA256"] = hashlib.sha256(value.encode()).hexdigest()
        return Mark(self._constant | chosen, source_type)

    def png(self, image: np.ndarray, facts: Mapping[str, str], source_type: str = TRAINED) -> bytes:
        """Encodes an image as a marked PNG file."""
        return png_bytes(image, self(facts, source_type))


UNMARKED = Marker("none", None)


def png_bytes(image: np.ndarray, mark: Mark | None) -> bytes:
    """Encodes an image as a PNG file with a mark, or without."""
    return in_png(images.png_bytes(image), b"" if mark is None else mark.packet)


def of_samples(sampled: Samples, labels: np.ndarray | None, lod: float, zoom: int = 1) -> Facts:
    """Makes the facts of images: the seeds of their latents or the latents, labels, lod and zoom.

    Args:
        sampled: latents of the images.
        labels: [N, label_size], or None.
        lod: level of detail.
        zoom: number of times that each pixel is repeated each way.
    """
    facts: Facts = {}
    if sampled.edit is not None:
        facts |= {"Edit": sampled.edit, "Latents": _encoded(sampled.latents)}
    elif sampled.prefix == "seed":
        facts["Seeds"] = samples.format_numbers(sampled.numbers)
    elif sampled.random_state is not None:
        facts["RandomState"] = str(sampled.random_state)
        facts["Indices"] = samples.format_numbers(sampled.numbers)
    else:
        facts["Latents"] = _encoded(sampled.latents)
    return facts | of_labels(labels) | {"Lod": repr(float(lod)), "Zoom": str(zoom)}


def of_labels(labels: np.ndarray | None) -> Facts:
    """Makes the facts of labels: numbers of classes, or the rows."""
    if labels is None:
        return {}
    classes = labels.argmax(axis=1)
    if np.array_equal(labels, one_hot(classes, labels.shape[1])):
        return {"Classes": ",".join(map(str, classes))}
    return {"Labels": _encoded(labels)}


def of_values(depth: Depth, preview: str | None = None) -> Facts:
    """Makes the facts of values: the type of others than 8 bits, or how a picture shows them."""
    if preview is not None:
        return {"Preview": preview}
    return {} if depth.is_8bit else {"Values": depth.dtype}


def of_grid(grid_size: tuple[int, int]) -> Facts:
    """Makes the fact of a grid: (8, 4) -> columns x rows."""
    return {"Grid": "x".join(map(str, grid_size))}


def _encoded(rows: np.ndarray) -> str:
    """Writes float32 rows as base64, little-endian."""
    return base64.b64encode(np.ascontiguousarray(rows, "<f4").tobytes()).decode("ascii")
