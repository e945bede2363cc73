"""Makes a finished face from its photograph and landmarks, or says what is wrong with them."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Iterator

import numpy as np

from pgtf.dataset.appending import append_line
from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.faces.alignment import align
from pgtf.dataset.faces.landmarks import Face
from pgtf.dataset.faces.options import FaceOptions
from pgtf.dataset.faces.photographs import read_photograph
from pgtf.dataset.faces.quality import quality
from pgtf.dataset.sources.reading import read_or_reject
from pgtf.foreign.json_files import read_lines
from pgtf.foreign.schema import Count, read_as
from pgtf.grids import Grid

MAX_REPORT_BYTES = 1 << 29  # a million faces, of which each has a path of hundreds of bytes
MAX_REPORT_LINES = 4_000_000
_Quality = tuple[str, Count, float]  # file, number of the face in it, quality


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes finished faces in the workers."""

    image_dir: str
    landmark_file: str
    options: FaceOptions
    report: str | None = None  # file that receives the quality of each face
    grid: Grid = PAPER_GRID  # size of the coarsest level

    def __call__(self, faces: Iterable[Face]) -> Iterator[np.ndarray | Rejected]:
        """Makes faces: uint8 [3, H, W] each, or the reason why a face cannot be used."""
        for face in faces:
            path = os.path.join(self.image_dir, face.file)
            number = f" (face {face.number})" if face.number else ""
            image = read_or_reject(path, functools.partial(self.make, face), number)
            if self.report is not None and not isinstance(image, Rejected):
                append_quality(self.report, face, quality(image))
            yield image

    def make(self, face: Face) -> np.ndarray:
        """Makes one face -> uint8 [3, H, W].

        Raises:
            ValueError, OSError: the face cannot be made; `reason` makes one line of it.
        """
        options = self.options
        if face.landmarks is None:
            raise ValueError(f"no landmarks in {self.landmark_file}; add a row, or remove the file")
        path = os.path.join(self.image_dir, face.file)
        if options.value_range == "auto":
            raise ValueError("`value_range` must be known. Received: value_range=auto.")
        limits = options.max_pixels, options.value_range
        photograph = read_photograph(path, options.alpha, *limits)
        if len(photograph) == 1:
            if options.gray == "error":
                raise ValueError(
                    "is gray, but faces must be RGB; --gray=convert accepts gray photographs"
                )
            photograph = photograph.repeat(3, axis=0)
        return align(
            photograph,
            face.landmarks,
            options.resolution,
            grid=self.grid,
            clean=options.clean,
            upscale=options.upscale,
            lanczos=options.lanczos,
            min_face=options.least_face,
        )


def append_quality(path: str, face: Face, value: float) -> None:
    """Appends a face's quality to a report; several processes may call this at the same time."""
    append_line(path, json.dumps([face.file, face.number, value]))


def read_report(path: str) -> dict[tuple[str, int], float]:
    """Reads the quality of each (file, number); an interrupted job may have written some twice.

    Raises:
        OSError: the report cannot be read.
        ValueError: a line is damaged; the message names it. One cut by a crash is left out, because
            its face is made again.
    """
    found = {}
    for line in read_lines(path, max_bytes=MAX_REPORT_BYTES, max_lines=MAX_REPORT_LINES):
        if not line.is_torn:
            name, number, value = read_as(_Quality, line.value, line.place)
            found[name, number] = value
    return found
