"""What a restoration network is trained for, and how long."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Literal

Task = Literal["jpeg", "sr"]
TASKS = ("jpeg", "sr")
SCALES = {"jpeg": 1, "sr": 4}  # how many times wider and higher the result is
KIMG = {"jpeg": 24.0, "sr": 32.0}  # default length, for small folders and patient CPUs
PATCHES = {"jpeg": 48, "sr": 96}  # default side of a clean patch, pixels


@dataclasses.dataclass(frozen=True)
class Config:
    """One training; equal ones give equal networks on one CPU."""

    task: Task
    images: str  # folder of clean images
    held_out: str | None = None  # another folder, to measure with; None = every tenth image
    total_kimg: float = 24.0  # thousands of patches to train on
    adversarial: float = 0.25  # of total_kimg, the last part, with a discriminator; sr only
    adversarial_weight: float = 3e-3  # of its loss beside the mean absolute error
    minibatch: int = 16
    patch: int = 96  # side of a clean patch, pixels
    lrate: float = 1e-3
    seed: int = 1000

    def __post_init__(self) -> None:
        multiple = 4  # of SCALES, and of the strides of the JPEG network
        checks = {
            "total_kimg": self.total_kimg > 0,
            "minibatch": self.minibatch >= 1,
            "patch": self.patch >= 32 and self.patch % multiple == 0,
            "lrate": self.lrate > 0,
            "adversarial": 0 <= self.adversarial < 1,
            "seed": self.seed >= 0,
        }
        for name, is_good in checks.items():
            if not is_good:
                rule = "a multiple of 4, from 32 on" if name == "patch" else "positive"
                raise ValueError(
                    f"`{name}` must be {rule}. Received: {name}={getattr(self, name)}."
                )

    @property
    def total_nimg(self) -> int:
        """Patches to train on, whole minibatches."""
        return math.ceil(self.total_kimg * 1000 / self.minibatch) * self.minibatch

    @property
    def adversarial_from(self) -> int:
        """Patches after which the discriminator takes part."""
        return round(self.total_nimg * (1 - self.adversarial if self.task == "sr" else 1))

    def lrate_at(self, nimg: int) -> float:
        """Falls along a cosine to a tenth, where it stays while the discriminator takes part."""
        progress = min(nimg / self.adversarial_from, 1)
        return self.lrate * (0.55 + 0.45 * math.cos(math.pi * progress))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)
