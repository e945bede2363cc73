"""Applies a trained network to images of any size, in tiles without seams, for create_faces.

Importing this module imports no TensorFlow; the first image that is restored does.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypedDict

import numpy as np

from pgtf import images as images_lib
from pgtf.foreign.json_files import SMALL_BYTES, read_json
from pgtf.foreign.schema import Between, read_as
from pgtf.graphs import SavedModel
from pgtf.restoration.config import Task

ABOUT_FILE = os.path.join("assets.extra", "restoration.json")
FORMAT = "pgtf-restoration-1"
TILE = 256  # side of the input that is restored at once, without margins, pixels
SIGNATURE = "serving_default"


class _About(TypedDict):
    """The fields of ABOUT_FILE that are used again; there are more."""

    format: Literal["pgtf-restoration-1"]
    task: Task
    scale: Annotated[int, Between(1, 16)]
    margin: Annotated[int, Between(0, 4096)]
    stride: Annotated[int, Between(1, TILE)]


@dataclasses.dataclass(frozen=True)
class Restorer:
    """Restores uint8 [3, H, W] -> uint8 [3, H * scale, W * scale]; can be pickled for workers."""

    path: str  # folder of the SavedModel
    task: str
    scale: int
    margin: int  # input pixels to each side that an output pixel depends on
    stride: int  # tiles begin at multiples of it
    tile: int = TILE

    @classmethod
    def open(cls, path: str, task: str | None = None) -> Restorer:
        """Opens a SavedModel that `python -m pgtf.restoration train` made.

        Args:
            path: its folder.
            task: task that it must have been trained for; None = any.

        Raises:
            ValueError: it is no such model, or was trained for another task.
        """
        made_by = "Train one with python -m pgtf.restoration train"
        path = os.path.expanduser(path)
        try:
            os.stat(os.path.join(path, "saved_model.pb"))
            about_file = os.path.join(path, ABOUT_FILE)
            parsed = read_json(about_file, max_bytes=SMALL_BYTES, allow_nan=True)
            about: _About = read_as(_About, parsed, about_file)
            if TILE % about["stride"] or about["margin"] % about["stride"]:
                raise ValueError(f"stride is {about['stride']}, margin is {about['margin']}")
            found = cls(
                os.path.abspath(path),
                about["task"],
                *(about["scale"], about["margin"], about["stride"]),
            )
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{path}: not a restoration network ({error}). {made_by} --task={task or 'jpeg'}."
            ) from error
        if task is not None and found.task != task:
            flag = {"jpeg": "--jpeg", "sr": "--restore"}.get(found.task)
            raise ValueError(
                f"{path}: must be a network of task={task}. Received: task={found.task}"
                + (f", which is for {flag}. " if flag else ". ")
                + f"{made_by} --task={task}."
            )
        return found

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Restores an image, uint8 [3, H, W], tile by tile."""
        pixels = images_lib.to_float(image.transpose(1, 2, 0))
        return images_lib.to_uint8(self.restore(pixels)).transpose(2, 0, 1)

    def restore(self, image: np.ndarray) -> np.ndarray:
        """float32 [H, W, 3] in [-1, 1] -> float32 [H * scale, W * scale, 3], not clipped.

        Each tile is restored with the margin that its pixels depend on, so that it equals, up to
        round-off, that part of the whole image restored at once.
        """
        height, width, channels = image.shape
        scale = self.scale
        result = np.empty((height * scale, width * scale, channels), np.float32)
        for top, bottom in self._spans(height):
            for left, right in self._spans(width):
                # These are multiples of the stride, because tile and margin are.
                y, x = max(top - self.margin, 0), max(left - self.margin, 0)
                part = image[y : bottom + self.margin, x : right + self.margin]
                restored = self._run(part)
                result[top * scale : bottom * scale, left * scale : right * scale] = restored[
                    (top - y) * scale : (bottom - y) * scale,
                    (left - x) * scale : (right - x) * scale,
                ]
        return result

    def _spans(self, size: int) -> Iterator[tuple[int, int]]:
        """Splits a side into tiles: yields (first, one past the last)."""
        for start in range(0, size, self.tile):
            yield start, min(start + self.tile, size)

    def _run(self, image: np.ndarray) -> np.ndarray:
        """Restores a whole image: float32 [h, w, 3] -> [h * scale, w * scale, 3]."""
        height, width, _ = image.shape
        padding = [(0, -side % self.stride) for side in (height, width)]
        padded = np.pad(image, (*padding, (0, 0)), mode="edge")
        restored = self._function(images=padded[np.newaxis])["images"][0]
        return restored[: height * self.scale, : width * self.scale]

    @functools.cached_property
    def _function(self) -> Any:
        """The signature of the loaded model."""
        try:
            return SavedModel(self.path).signature(SIGNATURE)
        except (OSError, ValueError) as error:
            # ValueError would mean that the image is at fault.
            raise RuntimeError(str(error)) from error

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
