"""Speed of a run: how long the next call may be, and how much time is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from pgtf.schedule import ScheduleState
from pgtf.training.config import RunConfig
from pgtf.training.cost import compilation_cost, iteration_cost

# Longest call if iterations are slow: a signal, and the progress bar, wait for its end.
CALL_SEC = 2.0
# Weight of a tick in the speed relative to the next one: the machine may get faster or slower.
_DECAY = 0.5


class Pace:
    """Measured times of this process, and what follows from them.

    Iterations to come are estimated by their relative cost (training.cost), so that the estimate
    holds from the first tick on, although later stages are up to hundreds of times slower per
    image.
    """

    def __init__(self, config: RunConfig, num_cores: int | None, num_workers: int = 1) -> None:
        """Starts without measurements.

        Args:
            config: whole configuration.
            num_cores: of the CPU that computes a replica; None = a GPU.
            num_workers: if there are several, calls end where the schedule says, because all
                workers must make the same calls, and their clocks differ.
        """
        self._config, self._num_cores, self._num_workers = config, num_cores, num_workers
        self._stages = config.schedule.stages(config.training.total_kimg)
        self._iteration_sec: float | None = None  # of the present stage
        self._seconds = self._cost = 0.0  # of iterations without compilation
        self._compilation_sec = self._compilation_cost = 0.0
        self._pause_sec, self._num_ticks = 0.0, 0

    @property
    def is_of_gpus(self) -> bool:
        """True if GPUs compute."""
        return self._num_cores is None

    def compiled(self, now: ScheduleState, seconds: float) -> None:
        """Counts the first iteration of a stage, which compiles it."""
        self._iteration_sec = None
        self._compilation_sec += seconds
        self._compilation_cost += compilation_cost(now)

    def iterated(self, now: ScheduleState, iterations: int, seconds: float) -> None:
        """Counts other iterations."""
        self._iteration_sec = seconds / iterations
        self._seconds += seconds
        self._cost += iterations * iteration_cost(self._config, now, self._num_cores)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Context manager that counts its block: pictures, snapshots, measurements, checkpoints."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._pause_sec += time.monotonic() - started

    def end_tick(self) -> None:
        """Counts a tick."""
        self._num_ticks += 1
        self._seconds *= _DECAY
        self._cost *= _DECAY

    def max_evaluations(self) -> int | None:
        """Number of evaluations of the schedule after which a call should end; None = any."""
        if self._num_workers > 1:
            return None
        if self._iteration_sec is None:
            return 1
        evaluation_sec = self._iteration_sec * self._config.training.minibatch_repeats
        return max(int(CALL_SEC / max(evaluation_sec, 1e-6)), 1)

    def eta_sec(self, cur_nimg: int) -> float:
        """Estimates the time until the last image: iterations, compilations and pauses."""
        cost = compilations = num_ticks = begin = 0.0
        for end_kimg, state in self._stages:
            end = end_kimg * 1000
            num_nimg = max(end - max(begin, cur_nimg), 0)
            iterations = num_nimg / (state.minibatch * self._config.training.D_repeats)
            cost += iterations * iteration_cost(self._config, state, self._num_cores)
            num_ticks += num_nimg / (state.tick_kimg * 1000)
            if begin > cur_nimg:
                compilations += compilation_cost(state)
            begin = end
        pause_sec = self._pause_sec / max(self._num_ticks, 1)
        return (
            _ratio(self._seconds, self._cost) * cost
            + _ratio(self._compilation_sec, self._compilation_cost) * compilations
            + pause_sec * num_ticks
        )


def _ratio(seconds: float, cost: float) -> float:
    """Returns seconds / cost; 0 without a measurement."""
    return seconds / cost if cost else 0.0
