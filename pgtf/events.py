"""TensorBoard events in a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pgtf import files


class Events:
    """Writes events to a file of its own; after an error, because handles go stale, to another.

    Args:
        folder: folder of the files.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self._writer: Any = None

    def write(self, summaries: Callable[[], Any], step: int) -> None:
        """Calls `summaries`, which calls tf.summary, and brings the events to the disk.

        Raises:
            OSError: the events cannot be written.
        """

        def attempt() -> None:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._folder)
            try:
                with self._writer.as_default(step=step):
                    summaries()
                    self._writer.flush()
            except tf.errors.OpError as error:
                self._writer = None
                # TensorFlow turns ESTALE into an error that otherwise means a lost worker.
                full = isinstance(error, tf.errors.ResourceExhaustedError)
                number = errno.ENOSPC if full else errno.EIO
                message = f"cannot write TensorBoard events: {error.message}"
                raise OSError(number, message) from error

        files.retried(attempt, self._folder)
