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
    watch: Annotated[
        bool | None,
        "measure overfitting on held-out images, and how similar the fakes are, in each tick; "
        "none = where D sees augmented images",
    ] = None

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
        if self.aug_p is not None and self.aug != "ada":
            raise ValueError(
                f"`aug_p` needs `aug` ada. Received: aug_p={self.aug_p}, aug={self.aug}."
            )

    @property
    def is_adaptive(self) -> bool:
        """True if the probability is adapted during training."""
        return self.aug == "ada" and self.aug_p is None

    @property
    def is_used(self) -> bool:
        """True if D sees augmented images; with a fixed probability of 0 there are none."""
        return self.aug != "none" and self.aug_p != 0

    @property
    def is_watched(self) -> bool:
        """True if each tick measures overfitting."""
        return self.is_used if self.watch is None else self.watch

    @property
    def needs_held_out(self) -> bool:
        """True if some images must not be trained on, to be compared with those that are."""
        return self.is_adaptive or self.is_watched
