"""Options of the training loop, and the interface of the whole configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pgtf.dataset import DatasetConfig
from pgtf.losses import LossConfig
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.schedule import Schedule


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How long and how to train; progress and intervals are in images and ticks. App. A.1."""

    seed: Annotated[int, "of weights, order of the data, latents and mixing factors"] = 1000
    total_kimg: Annotated[float, "length of training, thousands of real images shown"] = 15000
    minibatch_repeats: Annotated[int, "iterations between two looks at the schedule"] = 4
    D_repeats: Annotated[int, "n_critic: D updates for one G update"] = 1
    G_smoothing: Annotated[float, "decay of the moving average of G"] = 0.999
    G_smoothing_per: Annotated[
        Literal["D_update", "G_update"],
        "when the average takes in G: after each D update, or once before each G update",
    ] = "D_update"
    update_order: Annotated[
        Literal["alternating", "simultaneous"],
        "G after D with draws of its own, or both at once on the same images and latents",
    ] = "alternating"
    reset_opt_for_new_lod: Annotated[bool, "reset Adam when a fade begins and when it ends"] = True
    adam_beta1: Annotated[float, "decay of Adam's first moment"] = 0.0
    adam_beta2: Annotated[float, "decay of Adam's second moment"] = 0.99
    adam_epsilon: Annotated[float, "added to the root of the second moment"] = 1e-8
    precision: Annotated[
        Literal["fp32", "tf32", "bf16", "fp16"],
        "of convolutions; weights, statistics, losses and gradient norms are fp32 in any case",
    ] = "fp32"
    jit: Annotated[
        Literal["auto", "on", "off"], "gradients compiled by XLA; auto = where it was faster"
    ] = "auto"
    max_skipped: Annotated[
        int, "iterations in a row with a non-finite gradient that end the run"
    ] = 50
    image_snapshot_ticks: Annotated[int, "ticks between image grids"] = 1
    network_snapshot_ticks: Annotated[int, "ticks between network snapshots"] = 10

    def __post_init__(self) -> None:
        for name in ("total_kimg", "image_snapshot_ticks", "network_snapshot_ticks"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` must be above 0. Received: {getattr(self, name)}.")
        for name in ("minibatch_repeats", "D_repeats", "max_skipped"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")
        if not 0 <= self.G_smoothing <= 1:
            raise ValueError(f"`G_smoothing` must be in 0 ... 1. Received: {self.G_smoothing}.")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 0 and below 1. Received: {getattr(self, name)}."
                )
        if self.adam_epsilon < 0:
            raise ValueError(f"`adam_epsilon` must be at least 0. Received: {self.adam_epsilon}.")


class RunConfig(Protocol):
    """Interface of config.Config as training uses it; that room imports this one."""

    @property
    def dataset(self) -> DatasetConfig: ...

    @property
    def G(self) -> GeneratorConfig: ...

    @property
    def D(self) -> DiscriminatorConfig: ...

    @property
    def loss(self) -> LossConfig: ...

    @property
    def schedule(self) -> Schedule: ...

    @property
    def training(self) -> TrainingConfig: ...

    def replace(self, changes: Mapping[str, Any]) -> RunConfig: ...

    def to_json(self) -> str: ...

    def differences(self, other: Any) -> list[str]: ...
