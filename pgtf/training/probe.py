"""What every stage of a run costs in time and memory, found by running a few iterations of each."""

import dataclasses
import time

from tqdm import tqdm

from pgtf.training import memory, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper

ITERATIONS = 4  # timed, after as many that trace, compile and fill caches


@dataclasses.dataclass(frozen=True)
class StageCost:
    """A stage of the schedule and what it takes on this machine."""

    begin_kimg: float
    end_kimg: float
    resolution: int
    fading: bool
    minibatch: int
    sec_per_kimg: float | None  # None = it does not fit into memory
    peak_gib: float  # as of memory.peak_gib, in this stage alone
    error: str = ""  # why it does not fit

    @property
    def hours(self):
        """Projected time of the whole stage, pictures and checkpoints not counted."""
        return (self.end_kimg - self.begin_kimg) * (self.sec_per_kimg or 0) / 3600


def probe(config, dataset, strategy):
    """Runs a few iterations of every stage, the largest images first: -> [StageCost] in that order.

    Nothing is saved. A stage that does not fit into memory is reported and the others still run.
    """
    begin, stages = 0.0, []
    for end, now in config.schedule.stages(config.training.total_kimg):
        stages.append((begin, end, now))
        begin = end
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, dataset, strategy)
    costs = []
    for begin, end, now in tqdm(stages[::-1], desc="probing stages", unit="stage"):
        stage = (begin, end, now.resolution, now.alpha < 1, now.minibatch)
        memory.forget_peak()
        try:
            seconds = _seconds_per_kimg(config, stepper, now.nimg)
            costs.append(StageCost(*stage, seconds, memory.peak_gib()))
        except MemoryError as error:
            costs.append(StageCost(*stage, None, memory.peak_gib(), str(error)))
    return costs


def _seconds_per_kimg(config, stepper, nimg):
    """Time of 1000 images from `nimg` on, after a first call that is not timed."""
    call = plan.next_call(config.schedule, config.training, nimg, nimg)
    now, count = call.now, min(ITERATIONS, len(call.nimgs))
    numbers = [x[:count] for x in (call.nimgs, call.alphas, call.G_lrates, call.D_lrates)]
    num_images = count * now.minibatch * config.training.D_repeats
    seconds = []
    for k in range(2):
        nimgs = [n + k * num_images for n in numbers[0]]
        started = time.monotonic()
        stepper.run(plan.Call(now, nimgs, *numbers[1:], nimgs[0] + num_images))
        seconds.append(time.monotonic() - started)
    return seconds[-1] / num_images * 1000
