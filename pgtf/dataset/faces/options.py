"""The options that turn photographs into faces."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from pgtf.dataset.faces.alignment import Network
from pgtf.dataset.sources.pictures import Alpha
from pgtf.dataset.sources.ranges import Range
from pgtf.foreign.limits import MAX_PIXELS

NUM_KEPT = 30_000  # images in CelebA-HQ
MAX_ENLARGEMENT = 8  # by default; a smaller face would show no detail

Gray = Literal["error", "convert"]


@dataclasses.dataclass(frozen=True)
class FaceOptions:
    """Options that decide which faces a dataset has, and how they look."""

    resolution: int = 1024  # side of a finished face in pixels
    keep: int = NUM_KEPT  # number of faces, those of the highest quality
    lanczos: bool = True  # enlarge faces that are too small before they are warped
    clean: Network | None = None  # removes JPEG artifacts
    upscale: Network | None = None  # enlarges faces that are too small
    min_face: int | None = None  # pixels in the photograph; None = an eighth of the resolution
    alpha: Alpha = "error"  # treatment of transparent photographs
    gray: Gray = "error"  # treatment of gray photographs
    value_range: Range | Literal["auto"] | None = None  # stored values that become black and white
    max_pixels: int = MAX_PIXELS  # of a photograph
    max_errors: int = 0  # unusable faces that are skipped before the job gives up

    @property
    def least_face(self) -> int:
        """Least side in pixels of the square around a face in its photograph."""
        if self.min_face is None:
            return math.ceil(self.resolution / MAX_ENLARGEMENT)
        return self.min_face
