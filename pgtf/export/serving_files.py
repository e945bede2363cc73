"""What lies beside a SavedModel for the server: warm-up requests and batching parameters."""

import numpy as np
import tensorflow as tf

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCHING_FILE = "batching_params.pbtxt"
MAX_BATCH_SIZE = 32
MAX_BATCH_PIXELS = 8 * 1024 * 1024  # of all images of a batch
BATCH_TIMEOUT_MICROS = 1000  # how long the first request waits for others
NUM_BATCH_THREADS = 2  # ignored in a model's own file: its models share the server's threads
MAX_ENQUEUED_BATCHES = 64  # further requests are refused, which sheds load


def batch_sizes(resolution):
    """Batch sizes that the server pads to, powers of two: 1, 2, 4, 8 at 1024x1024."""
    sizes = [1]
    while sizes[-1] < MAX_BATCH_SIZE and 2 * sizes[-1] * resolution**2 <= MAX_BATCH_PIXELS:
        sizes.append(2 * sizes[-1])
    return sizes


def write_batching_parameters(path, sizes):
    """Writes the server's batching parameters, in protocol buffer text format."""
    lines = [
        f"max_batch_size {{ value: {sizes[-1]} }}",
        f"batch_timeout_micros {{ value: {BATCH_TIMEOUT_MICROS} }}",
        f"num_batch_threads {{ value: {NUM_BATCH_THREADS} }}",
        f"max_enqueued_batches {{ value: {MAX_ENQUEUED_BATCHES} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


def sample_inputs(inputs, num):
    """Typical inputs of a signature: {name: TensorSpec} -> {name: array of `num` rows}."""
    return {name: _sample(name, spec, num) for name, spec in inputs.items()}


def _sample(name, spec, num):
    if name == "labels":
        return np.eye(spec.shape[1], dtype=np.float32)[np.arange(num) % spec.shape[1]]
    if name == "t":
        return np.linspace(0, 1, num, dtype=np.float32)
    if name == "seed":
        return np.arange(num)
    if spec.shape.rank == 2:
        return np.random.RandomState(len(name)).randn(num, spec.shape[1]).astype(np.float32)
    return np.zeros(num, spec.dtype.as_numpy_dtype)  # class_id, dummy


def write_warmup_requests(path, model_name, signatures, sizes):
    """Writes a request for every signature and batch size, which the server answers on loading.

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


def _prediction_log(model_name, signature, inputs):
    """A serialized PredictionLog; written by hand because the package that has the official
    classes pins a version of TensorFlow. The numbers are the fields of the .proto files.
    """
    model_spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    request = _field(1, model_spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString(deterministic=True)
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number, content):
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])
