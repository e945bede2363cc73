"""The growing schedule, a pure function of images shown. Paper, Section 2 and App. A.1."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated

# Ticks get shorter as images get slower: original release, TrainingSchedule.
_TICK_KIMG = {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 20, 1024: 10}
# Part of training at whose end `fitted` has the last fade end. The v2 presets of the original
# release have it at 1024x1024: 9600 of 12000 thousand images.
GROWTH_SHARE = 0.8
MAX_RESOLUTION_LOG2 = 30  # TensorFlow counts pixels per side with 32 bits.
_PHASES = ("lod_training_kimg", "lod_transition_kimg", "lrate_rampup_kimg")


@dataclasses.dataclass(frozen=True)
class ScheduleState:
    """Values of the schedule at one moment."""

    nimg: int  # real images shown so far
    lod: float  # level of detail, 0 = full resolution
    resolution: int  # pixels of the training images: 2**(resolution_log2 - floor(lod))
    minibatch: int  # global, over all replicas
    G_lrate: float
    D_lrate: float
    tick_kimg: float  # thousands of images between two status lines

    @property
    def alpha(self) -> float:
        """Weight of the new, finer branch; 1 when no fade is running."""
        return 1 - (self.lod - math.floor(self.lod))

    @property
    def stage(self) -> tuple[int, int]:
        """Changes when a fade begins and when it ends; Adam is reset then."""
        return math.floor(self.lod), math.ceil(self.lod)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Growth, minibatch, learning rates and ticks; dictionaries are keyed by resolution.

    The first two fields follow from the dataset and the machine.
    """

    resolution_log2: Annotated[int, "log2 of the full resolution: 10 = 1024x1024"] = 10
    num_gpus: Annotated[int, "replicas that share a minibatch"] = 1
    lod_initial_resolution: Annotated[
        int | None, "first resolution in pixels; None = the full one, no growing"
    ] = 4
    lod_training_kimg: Annotated[float, "length of a stable phase, thousands of reals"] = 600
    lod_transition_kimg: Annotated[
        float, "length of a fade-in, thousands of reals; 0 = no fade"
    ] = 600
    minibatch_base: Annotated[int, "global minibatch for resolutions not in minibatch_dict"] = 16
    minibatch_dict: Annotated[Mapping[int, int], "global minibatch by resolution"] = (
        dataclasses.field(default_factory=dict)
    )
    max_minibatch_per_gpu: Annotated[
        Mapping[int, int], "largest minibatch that fits on one device, by resolution"
    ] = dataclasses.field(default_factory=dict)
    grad_accumulation: Annotated[
        int, "number of parts into which each device splits its minibatch to save memory"
    ] = 1
    G_lrate_base: Annotated[float, "learning rate of G for resolutions not in G_lrate_dict"] = 0.001
    G_lrate_dict: Annotated[Mapping[int, float], "learning rate of G by resolution"] = (
        dataclasses.field(default_factory=dict)
    )
    D_lrate_base: Annotated[float, "learning rate of D for resolutions not in D_lrate_dict"] = 0.001
    D_lrate_dict: Annotated[Mapping[int, float], "learning rate of D by resolution"] = (
        dataclasses.field(default_factory=dict)
    )
    lrate_rampup_kimg: Annotated[
        float, "length of the learning rates' ramp-up, thousands of reals; 0 = none"
    ] = 0
    tick_kimg_base: Annotated[
        float, "thousands of reals per tick (status line) for resolutions not in tick_kimg_dict"
    ] = 160
    tick_kimg_dict: Annotated[Mapping[int, float], "thousands of reals per tick, by resolution"] = (
        dataclasses.field(default_factory=_TICK_KIMG.copy)
    )

    def __post_init__(self) -> None:
        if self.resolution_log2 > MAX_RESOLUTION_LOG2:
            raise ValueError(
                f"`resolution_log2` must be at most {MAX_RESOLUTION_LOG2}. "
                f"Received: resolution_log2={self.resolution_log2}."
            )
        initial, full = self.initial_resolution, 2**self.resolution_log2
        if not 4 <= initial <= full or initial & (initial - 1):
            raise ValueError(
                f"`lod_initial_resolution` must be a power of two in 4 ... {full}. "
                f"Received: lod_initial_resolution={initial}."
            )
        for name in (*_PHASES, "G_lrate_base", "D_lrate_base"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must be at least 0. Received: {getattr(self, name)}.")
        for name in ("num_gpus", "grad_accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")

    @property
    def initial_resolution(self) -> int:
        """Pixels at the start."""
        if self.lod_initial_resolution is None:
            return 1 << self.resolution_log2
        return self.lod_initial_resolution

    @property
    def growth_kimg(self) -> float:
        """Thousands of images until the last fade has ended; infinite if the images never grow."""
        num_fades = self.resolution_log2 - self.initial_resolution.bit_length() + 1
        phase_kimg = self.lod_training_kimg + self.lod_transition_kimg
        return num_fades * phase_kimg if phase_kimg > 0 or not num_fades else math.inf

    def fitted(self, total_kimg: float) -> Schedule:
        """Returns a copy whose last fade ends after GROWTH_SHARE of the training.

        Multiplies the stable phase, the fade and the ramp-up by one factor, and rounds each to
        whole images.

        Raises:
            ValueError: if the images do not grow, or training is too short to grow in.
        """
        if not 0 < self.growth_kimg < math.inf:
            raise ValueError(
                "`fit_schedule` needs images that grow. Received: lod_initial_resolution="
                f"{self.lod_initial_resolution} of {2**self.resolution_log2}, lod_training_kimg="
                f"{self.lod_training_kimg:g}, lod_transition_kimg={self.lod_transition_kimg:g}."
            )
        factor = GROWTH_SHARE * total_kimg / self.growth_kimg
        phases = {name: round(factor * getattr(self, name), 3) for name in _PHASES}
        fitted = dataclasses.replace(self, **phases)
        if fitted.growth_kimg > total_kimg:
            raise ValueError(
                "`total_kimg` must leave each phase of the schedule at least one image. "
                f"Received: total_kimg={total_kimg:g}."
            )
        return fitted

    def lod(self, nimg: int) -> float:
        """Level of detail after `nimg` images: stable phases at integers, fades between them."""
        kimg = nimg / 1000
        phase_kimg = self.lod_training_kimg + self.lod_transition_kimg
        phase = math.floor(kimg / phase_kimg) if phase_kimg > 0 else 0
        kimg_in_phase = kimg - phase * phase_kimg
        lod = self.resolution_log2 - math.log2(self.initial_resolution) - phase
        if self.lod_transition_kimg > 0:
            lod -= max(kimg_in_phase - self.lod_training_kimg, 0) / self.lod_transition_kimg
        return max(lod, 0.0)

    def at(self, nimg: int) -> ScheduleState:
        """Returns the values for the training loop after `nimg` images."""
        lod = self.lod(nimg)
        resolution: int = 2 ** (self.resolution_log2 - math.floor(lod))
        rampup = self._lrate_rampup(nimg)
        return ScheduleState(
            nimg=nimg,
            lod=lod,
            resolution=resolution,
            minibatch=self.minibatch(resolution),
            G_lrate=self.G_lrate_dict.get(resolution, self.G_lrate_base) * rampup,
            D_lrate=self.D_lrate_dict.get(resolution, self.D_lrate_base) * rampup,
            tick_kimg=self.tick_kimg_dict.get(resolution, self.tick_kimg_base),
        )

    def _lrate_rampup(self, nimg: int) -> float:
        """Factor of the learning rates, from 0.007 to 1: original Theano release."""
        kimg = nimg / 1000
        if kimg >= self.lrate_rampup_kimg:
            return 1.0
        return math.exp(-5 * (1 - kimg / self.lrate_rampup_kimg) ** 2)

    def minibatch(self, resolution: int) -> int:
        """Global minibatch: rounded down to whole replicas, then capped by their memory."""
        minibatch = self.minibatch_dict.get(resolution, self.minibatch_base)
        minibatch -= minibatch % self.num_gpus
        if resolution in self.max_minibatch_per_gpu:
            cap = self.max_minibatch_per_gpu[resolution] * self.num_gpus * self.grad_accumulation
            minibatch = min(minibatch, cap)
        return minibatch

    def stages(self, total_kimg: float) -> list[tuple[float, ScheduleState]]:
        """Stable phases and fades until `total_kimg`: (thousands of images at the end, state).

        The state is taken one image after the stage begins, when its resolution applies, with full
        learning rates.
        """
        begin, stages = 0.0, []
        ramped_up = dataclasses.replace(self, lrate_rampup_kimg=0)
        while begin < total_kimg:
            state = ramped_up.at(round(begin * 1000) + 1)
            fading = state.alpha < 1
            end = begin + (self.lod_transition_kimg if fading else self.lod_training_kimg)
            if state.lod == 0 or end <= begin:
                end = total_kimg
            stages.append((min(end, total_kimg), state))
            begin = end
        return stages
