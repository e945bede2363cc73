"""Writes the server's files beside a SavedModel: warm-up requests and batching parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pgtf.export.labels import one_hot

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCHING_FILE = "batching_params.pbtxt"
MAX_BATCH_SIZE = 32
MAX_BATCH_PIXELS = 8 * 1024 * 1024  # limit for all images of a batch together
BATCH_TIMEOUT_MICROS = 1000  # time that the first request waits for others
NUM_BATCH_THREADS = 2  # The server ignores it in a model's own file: models share its threads.
MAX_ENQUEUED_BATCHES = 64  # Further requests are refused, which sheds load.


def batch_sizes(height: int, width: int) -> list[int]:
    """Lists the batch sizes that the server pads to, powers of two: 1, 2, 4, 8 at 1024x1024."""
    sizes = [1]
    while sizes[-1] < MAX_BATCH_SIZE and 2 * sizes[-1] * height * width <= MAX_BATCH_PIXELS:
        sizes.append(2 * sizes[-1])
    return sizes


def write_batching_parameters(path: Path, sizes: Sequence[int]) -> None:
    """Writes the server's batching parameters, in protocol buffer text format."""
    lines = [
        f"max_batch_size {{ value: {sizes[-1]} }}",
        f"batch_timeout_micros {{ value: {BATCH_TIMEOUT_MICROS} }}",
        f"num_batch_threads {{ value: {NUM_BATCH_THREADS} }}",
        f"max_enqueued_batches {{ value: {MAX_ENQUEUED_BATCHES} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


def sample_inputs(inputs: Mapping[str, tf.TensorSpec], num: int) -> dict[str, np.ndarray]:
    """Makes typical inputs for a signature: {name: TensorSpec} -> {name: array of `num` rows}."""
    return {name: _sample(name, spec, num) for name, spec in inputs.items()}


def _sample(name: str, spec: tf.TensorSpec, num: int) -> np.ndarray:
    if name == "labels":
        return one_hot(np.arange(num), spec.shape[1])
    if name == "t":
        return np.linspace(0, 1, num, dtype=np.float32)
    if name == "seed":
        return np.arange(num)
    if spec.shape.rank == 2:
        return np.random.RandomState(len(name)).randn(num, spec.shape[1]).astype(np.float32)
    return np.zeros(num, spec.dtype.as_numpy_dtype)  # class_id, dummy


def write_warmup_requests(
    path: Path,
    model_name: str,
    signatures: Mapping[str, Mapping[str, tf.TensorSpec]],
    sizes: Sequence[int],
) -> None:
    """Writes one request per signature and batch size, which the server answers when it loads.

    Args:
        path: file to write, a TFRecord of tensorflow.serving.PredictionLog.
        model_name: name of the model.
        signatures: {name: {name of input: TensorSpec}}.
        sizes: batch sizes.
    """
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in sizes:
            for name, inputs in signatures.items():
                writer.write(_prediction_log(model_name, name, sample_inputs(inputs, size)))


def _prediction_log(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """Serializes a PredictionLog. The numbers are the fields of the .proto files.

    The package with the official classes is not used, because it pins a version of TensorFlow.
    """
    model_spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    request = _field(1, model_spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString(deterministic=True)
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, content: bytes) -> bytes:
    """Serializes a length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Serializes seven bits per byte, the lowest first; the top bit says that more follow."""
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])
