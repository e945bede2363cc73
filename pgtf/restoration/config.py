"""Settings of one training of a restoration network."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Literal

Task = Literal["jpeg", "sr"]
TASKS = ("jpeg", "sr")
SCALES = {"jpeg": 1, "sr": 4}  # factor by which width and height grow
KIMG = {"jpeg": 24.0, "sr": 32.0}  # default length, for small folders and patient CPUs
PATCHES = {"jpeg": 48, "sr": 96}  # default side of a clean patch, pixels
MIN_PATCH = 32  # pixels
PATCH_MULTIPLE = 4  # the scale of super-resolution, and the stride of the JPEG network


@dataclasses.dataclass(frozen=True)
class Config:
    """One training; equal ones give equal networks on one CPU."""

    task: Task
    images: str  # folder of clean images
    held_out: str | None = None  # another folder, to measure with; None = every tenth image
    total_kimg: float = 24.0  # thousands of patches to train on
    adversarial: float = 0.25  # share of the patches, the last, with a discriminator; sr only
    adversarial_weight: float = (
        3e-3  # weight of the adversarial loss beside the mean absolute error
    )
    minibatch: int = 16
    patch: int = 96  # side of a clean patch, pixels
    lrate: float = 1e-3
    seed: int = 1000
    value_range: tuple[float, float] | None = None  # stored values that become black and white

    def __post_init__(self) -> None:
        is_whole = self.patch % PATCH_MULTIPLE == 0
        rules = {
            "total_kimg": (0 < self.total_kimg < math.inf, "positive"),
            "minibatch": (self.minibatch >= 1, "positive"),
            "patch": (self.patch >= MIN_PATCH and is_whole, "a multiple of 4, from 32 on"),
            "lrate": (0 < self.lrate < math.inf, "positive"),
            "adversarial": (0 <= self.adversarial < 1, "at least 0 and below 1"),
            "adversarial_weight": (0 <= self.adversarial_weight < math.inf, "at least 0"),
            "seed": (self.seed >= 0, "at least 0"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(
                    f"`{name}` must be {rule}. Received: {name}={getattr(self, name)}."
                )
        if self.adversarial_from < 1:
            raise ValueError(
                "`adversarial` must leave at least one patch to train on without the "
                f"discriminator. Received: adversarial={self.adversarial} of "
                f"{self.total_nimg} patches. Lower it, or raise total_kimg."
            )

    @property
    def total_nimg(self) -> int:
        """Number of patches to train on, a multiple of the minibatch."""
        return math.ceil(self.total_kimg * 1000 / self.minibatch) * self.minibatch

    @property
    def adversarial_from(self) -> int:
        """Number of patches after which the discriminator takes part."""
        return round(self.total_nimg * (1 - self.adversarial if self.task == "sr" else 1))

    def lrate_at(self, nimg: int) -> float:
        """Falls along a cosine to a tenth, where it stays while the discriminator takes part."""
        progress = min(nimg / self.adversarial_from, 1)
        return self.lrate * (0.55 + 0.45 * math.cos(math.pi * progress))

    def to_json(self) -> str:
        """Returns all fields as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
