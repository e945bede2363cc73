"""TensorBoard events in a folder.

They are written without TensorFlow's writer, which leaves a part of its buffer in the file when a
disk fails for a moment. Here every write is in the file once, or not at all.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf import files, images
from pgtf.dataset.crc32c import masked_crc32c

_NUMBERS = itertools.count()  # of the files of this process


class Events:
    """Appends events to a file of its own, made at the first of them.

    Args:
        folder: folder of the file.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # TensorBoard reads files in the order of their names.
        name = f"{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS):06d}"
        self._path = os.path.join(folder, f"events.out.tfevents.{name}.v2")
        self._begin = _record(file_version="brain.Event:2")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes numbers by tag. Raises OSError if they cannot be written."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        summaries = [scalar_pb(tag, value) for tag, value in values.items()]
        self._write([value for summary in summaries for value in summary.value], step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Writes a uint8 [H, W, C] picture. Raises OSError if it cannot be written."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        height, width = pixels.shape[:2]
        parts = [str(width).encode(), str(height).encode(), images.png_bytes(pixels)]
        metadata = create_summary_metadata(display_name=None, description=None)
        tensor = make_tensor_proto(np.array(parts, object))
        self._write([Summary.Value(tag=tag, metadata=metadata, tensor=tensor)], step)

    def _write(self, values: list[Any], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        record = _record(step=step, summary=Summary(value=values))
        files.append(self._path, self._begin + record)
        self._begin = b""


def _record(**fields: Any) -> bytes:
    """Returns an event with the current time in the frame of a TFRecord."""
    from tensorboard.compat.proto.event_pb2 import Event

    payload = Event(wall_time=time.time(), **fields).SerializeToString()
    header = len(payload).to_bytes(8, "little")
    return header + _crc(header) + payload + _crc(payload)


def _crc(content: bytes) -> bytes:
    return masked_crc32c(np.frombuffer(content, np.uint8)[np.newaxis]).tobytes()
