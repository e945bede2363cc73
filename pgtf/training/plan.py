"""Planning of calls: as many iterations as the schedule, the tick and the total allow."""

from __future__ import annotations

import dataclasses
import math

from pgtf.schedule import Schedule, ScheduleState
from pgtf.training.config import TrainingConfig

CALL_PIXELS = 64  # evaluations of the schedule in a call: CALL_PIXELS // resolution, at least 1
GPU_EVALUATIONS = 16  # on GPUs, which wait while Python reads the statistics of a call


@dataclasses.dataclass(frozen=True)
class Call:
    """Iterations that one traced function runs, in order."""

    now: ScheduleState  # at the last evaluation of the schedule
    nimgs: list[int]  # images shown before each iteration
    alphas: list[float]
    G_lrates: list[float]
    D_lrates: list[float]
    end_nimg: int  # images shown after the last

    def split(self, number: int) -> list[Call]:
        """Returns the first `number` iterations and the others, as one or two calls."""
        fields = ("nimgs", "alphas", "G_lrates", "D_lrates")
        first = {name: getattr(self, name)[:number] for name in fields}
        rest = {name: getattr(self, name)[number:] for name in fields}
        if not rest["nimgs"]:
            return [self]
        return [
            dataclasses.replace(self, **first, end_nimg=rest["nimgs"][0]),
            dataclasses.replace(self, **rest),
        ]


def next_call(
    schedule: Schedule,
    training: TrainingConfig,
    cur_nimg: int,
    tick_start_nimg: int,
    max_evaluations: int | None = None,
    usual_evaluations: int | None = None,
) -> Call:
    """Plans from `cur_nimg` to a change of stage or of minibatch, or the end of the tick.

    As in the original release, the schedule is evaluated every `minibatch_repeats` iterations, and
    only minibatches of D count as progress. The numbers do not depend on where calls are split.

    Args:
        schedule: schedule of the run.
        training: options of the loop.
        cur_nimg: images shown.
        tick_start_nimg: images shown at the start of the tick.
        max_evaluations: end after so many evaluations of the schedule at most; None = any number.
        usual_evaluations: end after so many; None = CALL_PIXELS decides.
    """
    now = first = schedule.at(cur_nimg)
    call = Call(first, [], [], [], [], cur_nimg)
    nimg, total_nimg = cur_nimg, math.ceil(training.total_kimg * 1000)
    evaluations = usual_evaluations or max(CALL_PIXELS // first.resolution, 1)
    for _ in range(min(evaluations, max_evaluations or evaluations)):
        state = schedule.at(nimg)
        if (state.stage, state.minibatch) != (first.stage, first.minibatch):
            break
        now = state
        for _ in range(training.minibatch_repeats):
            call.nimgs.append(nimg)
            call.alphas.append(now.alpha)
            call.G_lrates.append(now.G_lrate)
            call.D_lrates.append(now.D_lrate)
            nimg += now.minibatch * training.D_repeats
        if nimg >= min(total_nimg, tick_start_nimg + now.tick_kimg * 1000):
            break
    return dataclasses.replace(call, now=now, end_nimg=nimg)
