"""Loads an exported SavedModel in a fresh process and compares its answers with the live network.

The file is also the program of that process: python self_check.py FOLDER EXPECTED.npz. It runs on
the CPU and cannot import this package, as on a server.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MAX_LEVELS = 1  # largest difference of a pixel, of 255
LATENCY_BATCHES = (1, 8)
LATENCY_REPEATS = 5
LATENCY_SEC = 2.0  # no further repeat after this time


def self_check(folder, expected):
    """Checks a SavedModel in a fresh process: -> dict of what was found and measured.

    Args:
        folder: of the SavedModel.
        expected: dict of arrays: inputs of the signatures as "inputs/<signature>/<input>", and
            the answers of the live network as "images/<signature>", uint8 NHWC.

    Raises:
        ValueError: if it does not load, lacks a signature or answers differently.
    """
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "expected.npz"
        np.savez(path, **expected)
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, __file__, str(Path(folder).resolve()), str(path)],
            cwd=temporary,
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"the exported model failed its check: {reason}")
    return json.loads(done.stdout.splitlines()[-1])


def _check(folder, expected):
    """Runs in the fresh process: -> the report."""
    import tensorflow as tf

    sys.modules["pgtf"] = None  # importing it would raise
    signatures = tf.saved_model.load(folder).signatures
    cases: dict[str, dict[str, tf.Tensor]] = {}
    for key, value in expected.items():
        kind, signature, *name = key.split("/")
        if kind == "inputs":
            cases.setdefault(signature, {})[name[0]] = tf.constant(value)
    if sorted(cases) != sorted(signatures):
        raise ValueError(f"signatures {sorted(signatures)}, expected {sorted(cases)}.")
    differences = {}
    for name, inputs in cases.items():
        outputs = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        if f"images/{name}" in expected:
            differences[name] = _compare(name, outputs, expected[f"images/{name}"])
    default = signatures["serving_default"]
    latency = {
        f"batch_{n}": _latency(default, cases["serving_default"], n) for n in LATENCY_BATCHES
    }
    return {
        "largest_difference_levels": differences,
        "latency_ms": latency | {"device": f"CPU, {os.cpu_count()} cores"},
        "tensorflow": tf.__version__,
    }


def _compare(name, outputs, expected):
    """Largest difference of an answer and the live images in levels; raises if it is too large."""
    import tensorflow as tf

    status = outputs.pop("status")
    (answer,) = outputs.values()
    if status.any():
        raise ValueError(f"{name}: status {status.tolist()}, expected zeros.")
    if answer.dtype == object:  # PNG files
        answer = np.stack([tf.io.decode_png(image).numpy() for image in answer])
    if answer.dtype == np.float32:
        if not np.isfinite(answer).all():
            raise ValueError(f"{name}: not all values are finite.")
        answer = np.rint(answer * 255)
    if answer.shape != expected.shape:
        raise ValueError(f"{name}: shape {answer.shape}, expected {expected.shape}.")
    levels = int(np.abs(answer.astype(int) - expected).max())
    if levels > MAX_LEVELS:
        raise ValueError(f"{name}: a pixel is {levels} levels off, at most {MAX_LEVELS} allowed.")
    return levels


def _latency(signature, inputs, num):
    """Median time of a warm request in milliseconds."""
    import tensorflow as tf

    inputs = {key: tf.repeat(value[:1], num, axis=0) for key, value in inputs.items()}
    times: list[float] = []
    while len(times) <= LATENCY_REPEATS and sum(times) < LATENCY_SEC:
        begin = time.perf_counter()
        signature(**inputs)["images"].numpy()
        times.append(time.perf_counter() - begin)
    return round(1000 * float(np.median(times[1:] or times)), 2)  # the first one traces


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, whose modules are no top-level modules
    with np.load(sys.argv[2]) as file:
        print(json.dumps(_check(sys.argv[1], dict(file))))
