"""Measures time and memory of every stage of a run by running a few iterations of each."""

from __future__ import annotations

import dataclasses
import time

import tensorflow as tf
from tqdm import tqdm

from pgtf.dataset import Dataset
from pgtf.training import memory, plan
from pgtf.training.config import RunConfig
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

ITERATIONS = 4  # timed, after as many that trace, compile and fill caches


@dataclasses.dataclass(frozen=True)
class StageCost:
    """A stage of the schedule and its cost on this machine."""

    begin_kimg: float
    end_kimg: float
    size: str  # "HEIGHTxWIDTH"
    fading: bool
    minibatch: int
    sec_per_kimg: float | None  # None = it does not fit into memory
    peak_gib: float  # as of memory.peak_gib, in this stage alone
    error: str = ""  # the reason why it does not fit

    @property
    def hours(self) -> float:
        """Projected time of the whole stage, without pictures and checkpoints."""
        return (self.end_kimg - self.begin_kimg) * (self.sec_per_kimg or 0) / 3600


def probe(config: RunConfig, dataset: Dataset, strategy: tf.distribute.Strategy) -> list[StageCost]:
    """Runs a few iterations of every stage, the largest images first. Returns costs in that order.

    Nothing is saved. A stage that does not fit into memory is reported, and the others still run.
    """
    begin = 0.0
    stages = []
    for end, now in config.schedule.stages(config.training.total_kimg):
        stages.append((begin, end, now))
        begin = end
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, dataset, strategy)
    costs = []
    for begin, end, now in tqdm(stages[::-1], desc="probing stages", unit="stage", disable=None):
        size = config.G.base.size_text(now.resolution)
        stage = (begin, end, size, now.alpha < 1, now.minibatch)
        memory.forget_peak()
        try:
            seconds = _seconds_per_kimg(config, stepper, now.nimg)
            costs.append(StageCost(*stage, seconds, memory.peak_gib()))
        except MemoryError as error:
            costs.append(StageCost(*stage, None, memory.peak_gib(), str(error)))
    return costs


def _seconds_per_kimg(config: RunConfig, stepper: Stepper, nimg: int) -> float:
    """Returns the time of 1000 images from `nimg` on, after a first call that is not timed."""
    call = plan.next_call(config.schedule, config.training, nimg, nimg)
    count = min(ITERATIONS, len(call.nimgs))
    num_images = count * call.now.minibatch * config.training.D_repeats
    seconds = []
    for k in range(2):
        nimgs = [n + k * num_images for n in call.nimgs[:count]]
        part = plan.Call(
            now=call.now,
            nimgs=nimgs,
            alphas=call.alphas[:count],
            G_lrates=call.G_lrates[:count],
            D_lrates=call.D_lrates[:count],
            end_nimg=nimgs[0] + num_images,
        )
        started = time.monotonic()
        stepper.run(part)
        seconds.append(time.monotonic() - started)
    return seconds[-1] / num_images * 1000
