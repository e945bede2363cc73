"""Options of the training loop, and the interface of the whole configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pgtf.augment import AugmentConfig
from pgtf.losses import LossConfig
from pgtf.networks import DiscriminatorConfig, GeneratorConfig
from pgtf.runs import interfaces
from pgtf.schedule import Schedule


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Length and details of training; progress and intervals are in images and ticks. App. A.1."""

    seed: Annotated[int, "random seed for weights, data order, latents and mixing factors"] = 1000
    total_kimg: Annotated[float, "length of training, thousands of real images shown"] = 15000
    minibatch_repeats: Annotated[int, "iterations per step of the schedule"] = 4
    D_repeats: Annotated[int, "n_critic: D updates per G update"] = 1
    G_smoothing: Annotated[float, "decay of the moving average of G"] = 0.999
    G_smoothing_per: Annotated[
        Literal["D_update", "G_update"],
        "when the moving average is updated: after each D update, or once before each G update",
    ] = "D_update"
    update_order: Annotated[
        Literal["alternating", "simultaneous"],
        "G after D on new latents, or both at once on the same images and latents",
    ] = "alternating"
    reset_opt_for_new_lod: Annotated[bool, "reset Adam when a fade begins and when it ends"] = True
    adam_beta1: Annotated[float, "decay of Adam's first moment"] = 0.0
    adam_beta2: Annotated[float, "decay of Adam's second moment"] = 0.99
    adam_epsilon: Annotated[float, "number added to the root of the second moment"] = 1e-8
    precision: Annotated[
        Literal["fp32", "tf32", "bf16", "fp16"],
        "precision of convolutions; weights, statistics, losses and gradient norms are always fp32",
    ] = "fp32"
    jit: Annotated[Literal["auto", "on", "off"], "compile iterations with XLA; auto = on GPUs"] = (
        "auto"
    )
    max_skipped: Annotated[
        int, "the run stops after this many iterations in a row with a non-finite gradient"
    ] = 50
    image_snapshot_ticks: Annotated[
        int, "ticks between image grids; more where they would exceed picture_budget_mb"
    ] = 1
    image_grid: Annotated[
        Literal["1080p", "4k", "small"],
        "screen filled by an image grid: 1920x1080, 3840x2160 or 256x128 pixels",
    ] = "1080p"
    picture_budget_mb: Annotated[
        float, "limit for all image grids and TensorBoard events of a run, millions of bytes"
    ] = 2000
    network_snapshot_ticks: Annotated[int, "ticks between network snapshots"] = 10
    freeze_D: Annotated[int, "with --transfer: finest taken blocks of D that are not trained"] = 0

    def __post_init__(self) -> None:
        intervals = ("image_snapshot_ticks", "network_snapshot_ticks")
        for name in ("total_kimg", *intervals, "picture_budget_mb"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be above 0. Received: {getattr(self, name)}.")
        for name in ("minibatch_repeats", "D_repeats", "max_skipped"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")
        if not 0 <= self.G_smoothing <= 1:
            raise ValueError(f"`G_smoothing` must be in 0 ... 1. Received: {self.G_smoothing}.")
        if self.freeze_D < 0:
            raise ValueError(f"`freeze_D` must be at least 0. Received: freeze_D={self.freeze_D}.")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 0 and below 1. Received: {getattr(self, name)}."
                )
        if self.adam_epsilon < 0:
            raise ValueError(f"`adam_epsilon` must be at least 0. Received: {self.adam_epsilon}.")


class RunConfig(interfaces.RunConfig, Protocol):
    """Interface of config.Config as training uses it; that room imports this one."""

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

    @property
    def augment(self) -> AugmentConfig: ...

    def replace(self, changes: Mapping[str, Any]) -> RunConfig: ...

    def for_dataset(
        self,
        resolution_log2: int,
        num_channels: int,
        label_size: int,
        num_gpus: int,
        mirror: bool = False,
        grid: str = ...,
    ) -> RunConfig: ...

    def check(self) -> None: ...
