"""Directions in latent space: unit vectors with names, and turns of latents along them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import tensorflow as tf

from pgtf import files
from pgtf.export.samples import Samples
from pgtf.export.source import Source
from pgtf.foreign.json_files import read_json
from pgtf.foreign.schema import Between, read_as, resolved

FORMAT = "pgtf-directions-1"
METHODS = ("sefa", "pca", "boundary")
MAX_DIRECTIONS = 1000
MAX_BYTES = 2**26
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")
_LEAST = 1e-6  # length of the part of a vector across the latents that still has a direction


class _File(TypedDict):
    """A file of directions."""

    format: str
    network: str
    method: Literal["sefa", "pca", "boundary"]
    directions: dict[str, list[float]]


class _FileWithAngles(_File, total=False):
    """A file of directions, some of which have an angle of their own."""

    angles: dict[str, Annotated[float, Between(-np.pi, np.pi)]]


_FILE = resolved(_FileWithAngles)


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions that were found for one network."""

    network: str  # SHA-256 of its weights
    method: str
    vectors: Mapping[str, np.ndarray]  # name -> float32 [latent_size] of length 1
    usual: Mapping[str, float] = dataclasses.field(default_factory=dict)  # name -> angle of its own

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        vectors = {name: list(map(float, x)) for name, x in self.vectors.items()}
        content: dict[str, Any] = {"format": FORMAT, "network": self.network}
        content |= {"method": self.method, "directions": vectors}
        content |= {"angles": dict(self.usual)} if self.usual else {}
        text = json.dumps(content) + "\n"
        files.write_atomically(path, text.encode())

    def pairs(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Reads flags such as smile=0.3, or smile if it has an angle of its own.

        Raises:
            ValueError: a flag is malformed, or there is no such direction.
        """
        found = []
        for text in texts:
            name, _, number = text.rpartition("=")
            if text in self.usual:
                name, number = text, repr(self.usual[text])
            if name not in self.vectors:
                names = ", ".join(list(self.vectors)[:20])
                raise ValueError(
                    f"`--direction` must be NAME=ANGLE with a name of {names}. Received: {text!r}."
                )
            try:
                angle = float(number)
            except ValueError:
                angle = float("nan")
            if not np.isfinite(angle):
                raise ValueError(
                    f"`--direction` must be NAME=ANGLE, an angle in radians. Received: {text!r}."
                )
            found.append((name, angle))
        return found

    def of(self, sampled: Samples, texts: Sequence[str]) -> Samples:
        """Turns samples along the directions that flags name, when they are read."""
        pairs, matrix, names = self.pairs(texts), self.matrix, list(self.vectors)
        angles = np.zeros(len(names), np.float32)
        for name, angle in pairs:
            angles[names.index(name)] += angle

        edits = [f"{name}={angle:g}" for name, angle in pairs]

        def sample(numbers: np.ndarray) -> np.ndarray:
            return edit(sampled.sample(numbers), matrix, np.tile(angles, (len(numbers), 1)))

        return dataclasses.replace(sampled, sample=sample, edit=" ".join(edits))

    @property
    def matrix(self) -> np.ndarray:
        """All vectors: [K, latent_size]."""
        return np.stack(list(self.vectors.values()))


def load(path: str | os.PathLike[str], source: Source) -> Directions:
    """Reads the directions of a network.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or of another network.
    """
    found: Any = read_as(_FILE, read_json(path, max_bytes=MAX_BYTES), str(path))
    if found["format"] != FORMAT or not 1 <= len(found["directions"]) <= MAX_DIRECTIONS:
        raise ValueError(f"{path}: must be a file of `directions`.")
    if found["network"] != source.sha256:
        raise ValueError(
            f"{path}: holds directions of the network {found['network'][:16]!r}..., and "
            f"{source.path} is {source.sha256[:16]}... (SHA-256 of the weights)."
        )
    vectors = {}
    for name, values in found["directions"].items():
        vector = np.array(values, np.float32)
        norm = np.linalg.norm(vector)
        if not _NAME.fullmatch(name) or vector.shape != (source.Gs.latent_size,) or not norm > 0:
            raise ValueError(
                f"{path}: must hold named vectors of {source.Gs.latent_size} numbers. "
                f"Received: {name[:20]!r}, {len(values)} numbers."
            )
        vectors[name] = vector / norm
    usual = found.get("angles", {})
    if unknown := usual.keys() - vectors.keys():
        raise ValueError(
            f"{path}: `angles` must name directions of the file. Received: {min(unknown)[:20]!r}."
        )
    return Directions(found["network"], found["method"], vectors, usual)


def name_of(text: str) -> str:
    """Makes the name of a direction of a column or a value: other signs become hyphens.

    Raises:
        ValueError: no letter or digit is left.
    """
    name = re.sub(r"[^\w.+-]+", "-", text).strip("-")[:64]
    if not _NAME.fullmatch(name):
        raise ValueError(f"a direction must have a name of letters and digits. Received: {text!r}.")
    return name


def beside(source: Source) -> Path:
    """Path of the directions of a network unless a flag names another."""
    return source.beside("-directions.json")


def edit(latents: Any, vectors: np.ndarray, angles: Any) -> np.ndarray:
    """Turns latents: [N, L], unit vectors [K, L], radians [N, K] -> [N, L]. See `turned`."""
    latents, angles = (np.asarray(x, np.float32) for x in (latents, angles))
    found: np.ndarray = turned(tf.constant(latents), vectors, tf.constant(angles)).numpy()
    return found


def turned(latents: tf.Tensor, vectors: np.ndarray | tf.Tensor, angles: tf.Tensor) -> tf.Tensor:
    """Turns latents along directions; their length stays, and the angles are the strengths.

    The latents move on the sphere along the great circle whose tangent is the sum of the vectors'
    parts across the latents, each scaled to its angle. All angles 0 give the bits given.

    Args:
        latents: [N, L].
        vectors: [K, L], of length 1.
        angles: [N, K] in radians.
    """
    length = tf.norm(latents, axis=1, keepdims=True)
    unit = tf.math.divide_no_nan(latents, length)  # [N, L]
    rows = tf.convert_to_tensor(vectors, latents.dtype)
    along = tf.matmul(unit, rows, transpose_b=True)  # [N, K]
    across_norm = tf.sqrt(tf.maximum(1 - tf.square(along), _LEAST**2))
    weights = angles / across_norm
    tangent = tf.matmul(weights, rows) - unit * tf.reduce_sum(weights * along, 1, keepdims=True)
    angle = tf.norm(tangent, axis=1, keepdims=True)
    found = tf.cos(angle) * unit + tf.math.divide_no_nan(tf.sin(angle), angle) * tangent
    return tf.where(angle > 0, length * found, latents)
