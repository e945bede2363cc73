"""Options of the augmentation, and of how its probability adapts."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the images that D sees. Karras et al. 2020 (ADA); Zhao et al. 2020."""

    aug: Annotated[
        Literal["none", "diffaug", "ada"],
        "augmentation of what D sees: none, DiffAugment, or ADA's flips, geometry and colour",
    ] = "none"
    aug_p: Annotated[
        float | None, "ada: fixed probability of each operation; none = adapted during training"
    ] = None
    aug_target: Annotated[
        float, "ada: overfitting signal that the probability is adapted towards"
    ] = 0.6
    aug_kimg: Annotated[
        float, "ada: thousands of images in which the probability can rise from 0 to 1"
    ] = 500
    aug_interval: Annotated[
        int, "ada: images between two adaptations, over which the signal is averaged"
    ] = 1000

    def __post_init__(self) -> None:
        if self.aug_p is not None and not 0 <= self.aug_p <= 1:
            raise ValueError(f"`aug_p` must be in 0 ... 1. Received: aug_p={self.aug_p}.")
        if not 0 < self.aug_target < 1:
            raise ValueError(
                f"`aug_target` must be between 0 and 1. Received: aug_target={self.aug_target}."
            )
        if not 0 < self.aug_kimg < math.inf:
            raise ValueError(f"`aug_kimg` must be above 0. Received: aug_kimg={self.aug_kimg}.")
        if self.aug_interval < 1:
            raise ValueError(
                f"`aug_interval` must be at least 1. Received: aug_interval={self.aug_interval}."
            )
