"""--profile: where the time of some iterations goes, as a TensorBoard trace."""

import contextlib

import tensorflow as tf
from absl import logging

FOLDER = "profile"  # in the run folder


@contextlib.contextmanager
def profiled(stepper, folder, num_steps):
    """Gives a stepper that records its first iterations, but not the call that traces.

    Args:
        stepper: stepper.Stepper.
        folder: run folder, whose `profile` receives the trace.
        num_steps: iterations to record, rounded up to whole calls; 0 = none.
    """
    if not num_steps:
        yield stepper
        return
    recorder = _Recorder(stepper, str(folder / FOLDER), num_steps)
    try:
        yield recorder
    finally:
        recorder.stop()


class _Recorder:
    """A Stepper in whose second call the recording begins."""

    def __init__(self, stepper, folder, num_steps):
        self._stepper, self._folder, self._left = stepper, folder, num_steps
        self._is_first, self._is_running = True, False

    def run(self, call):
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

    def stop(self):
        """Writes what has been recorded, if anything is still unwritten."""
        if self._is_running:
            self._is_running = False
            tf.profiler.experimental.stop()
            logging.info("Trace written: tensorboard --logdir=%s", self._folder)
