"""--profile: a TensorBoard trace of some iterations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from pgtf.runs.run_folder import PROFILE_FOLDER
from pgtf.training.plan import Call


class Steps(Protocol):
    """Interface of stepper.Stepper."""

    statistics: tuple[str, ...]

    def run(self, call: Call) -> np.ndarray: ...

    def is_new(self, call: Call) -> bool: ...


@contextlib.contextmanager
def profiled(stepper: Steps, folder: Path, num_steps: int) -> Iterator[Steps]:
    """Context manager with a stepper that records its first iterations, without the tracing call.

    Args:
        stepper: stepper.Stepper.
        folder: run folder, whose `profile` receives the trace.
        num_steps: iterations to record, rounded up to whole calls; 0 = none.
    """
    if not num_steps:
        yield stepper
        return
    recorder = _Recorder(stepper, str(folder / PROFILE_FOLDER), num_steps)
    try:
        yield recorder
    finally:
        recorder.stop()


class _Recorder:
    """A stepper that starts recording at its second call."""

    def __init__(self, stepper: Steps, folder: str, num_steps: int) -> None:
        self.statistics = stepper.statistics
        self._stepper, self._folder, self._left = stepper, folder, num_steps
        self._is_first, self._is_running = True, False

    def is_new(self, call: Call) -> bool:
        """As Stepper.is_new."""
        return self._stepper.is_new(call)

    def run(self, call: Call) -> np.ndarray:
        """As Stepper.run."""
        if not self._is_first and self._left > 0 and not self._is_running:
            tf.profiler.experimental.start(self._folder)
            self._is_running = True
        rows = self._stepper.run(call)
        if self._is_running:
            self._left -= len(rows)
            if self._left <= 0:
                self.stop()
        self._is_first = False
        return rows

    def stop(self) -> None:
        """Writes the trace if recording has started."""
        if self._is_running:
            self._is_running = False
            tf.profiler.experimental.stop()
            logging.info("Trace written: tensorboard --logdir=%s", self._folder)
