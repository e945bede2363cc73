"""One finished face from its photograph and landmarks, and what may be wrong with them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import PIL.Image

from pgtf.dataset.encoder import Rejected
from pgtf.dataset.faces.alignment import Network, align
from pgtf.dataset.faces.landmarks import Face
from pgtf.dataset.faces.quality import quality
from pgtf.dataset.journal import CAREFULLY
from pgtf.dataset.sources.pictures import FILE_ERRORS, Alpha, reason, to_plain

Gray = Literal["error", "convert"]


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes finished faces; it is sent to the workers."""

    image_dir: str
    landmark_file: str
    side: int
    lanczos: bool  # whether faces are enlarged before they are warped
    clean: Network | None  # removes JPEG artifacts
    upscale: Network | None
    min_face: int  # pixels
    alpha: Alpha
    gray: Gray
    report: str | None = None  # file that receives the quality of each face

    def __call__(self, faces: Iterable[Face]) -> Iterator[np.ndarray | Rejected]:
        """Makes faces: uint8 [3, side, side] each, or what is wrong with them."""
        for face in faces:
            try:
                image = self.make(face)
            except FILE_ERRORS as error:
                number = f" (face {face.number})" if face.number else ""
                path = os.path.join(self.image_dir, face.file)
                yield Rejected(f"{path}{number}", reason(error))
            else:
                if self.report is not None:
                    append_quality(self.report, face, quality(image))
                yield image

    def make(self, face: Face) -> np.ndarray:
        """Makes one face -> uint8 [3, side, side].

        Raises:
            ValueError, OSError and others (FILE_ERRORS): `reason` makes one line of them.
        """
        if face.landmarks is None:
            raise ValueError(f"no landmarks in {self.landmark_file}; add a row, or remove the file")
        with PIL.Image.open(os.path.join(self.image_dir, face.file)) as file:
            picture = to_plain(file, self.alpha)
        if picture.mode == "L" and self.gray == "error":
            raise ValueError(
                "is gray, and faces are to be RGB; --gray=convert takes it all the same"
            )
        photograph = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        return align(
            photograph,
            face.landmarks,
            self.side,
            clean=self.clean,
            upscale=self.upscale,
            lanczos=self.lanczos,
            min_face=self.min_face,
        )


def append_quality(path: str, face: Face, value: float) -> None:
    """Adds a line to a report in the making; several processes may do so at once."""
    # A line break comes first as well: the line before may have been cut by a crash.
    line = "\n" + json.dumps([face.file, face.number, value]) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | CAREFULLY, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_report(path: str) -> dict[tuple[str, int], float]:
    """File and number of each face -> quality; an interrupted job may have written some twice."""
    found = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                name, number, value = json.loads(line)
            except ValueError:  # empty, or cut by a crash: made again, and written again
                continue
            found[name, number] = value
    return found
