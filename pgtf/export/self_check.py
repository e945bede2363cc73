"""Loads an exported SavedModel in a fresh process and compares its answers with the live network.

The file is also the program of that process: python self_check.py FOLDER EXPECTED.npz. It runs on
the CPU and cannot import this package, as on a server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

MAX_LEVELS = 1  # largest difference that a pixel may have, of 255
LATENCY_BATCHES = (1, 8)
LATENCY_WARMUP = 3  # requests of each batch size that are not counted
LATENCY_REPEATS = 15
LATENCY_SEC = 4.0  # No repeat begins after this time.


def self_check(folder: str | os.PathLike[str], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Checks a SavedModel in a fresh process. Returns differences and latencies by name.

    Args:
        folder: the SavedModel.
        expected: inputs of the signatures as "inputs/<signature>/<input>", and the answers of the
            live network as "images/<signature>", NHWC; "range" is that of their values.

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
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _check(folder: str, expected: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Loads and compares in the fresh process. Returns the report."""
    import tensorflow as tf

    sys.modules["pgtf"] = None  # type: ignore[assignment]  # Importing it now raises.
    signatures = tf.saved_model.load(folder).signatures
    cases: dict[str, dict[str, tf.Tensor]] = {}
    for key, value in expected.items():
        kind, _, path = key.partition("/")
        signature, _, name = path.partition("/")
        if kind == "inputs":
            cases.setdefault(signature, {})[name] = tf.constant(value)
    if sorted(cases) != sorted(signatures):
        raise ValueError(f"signatures {sorted(signatures)}, expected {sorted(cases)}.")
    low, high = map(float, expected.get("range", (0, 255)))
    differences, value_range = {}, (low, high)
    for name, inputs in cases.items():
        outputs = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        if f"images/{name}" in expected:
            differences[name] = _compare(name, outputs, expected[f"images/{name}"], value_range)
    default = signatures["serving_default"]
    return {
        "largest_difference_levels": differences,
        "latency_ms": _latencies(default, cases["serving_default"]),
        "tensorflow": tf.__version__,
    }


def _compare(
    name: str,
    outputs: dict[str, np.ndarray],
    expected: np.ndarray,
    value_range: tuple[float, float],
) -> float:
    """Computes the largest difference between an answer and the live images, in gray levels."""
    import tensorflow as tf

    status = outputs.pop("status")
    ((key, answer),) = outputs.items()
    if status.any():
        raise ValueError(f"{name}: status {status.tolist()}, expected zeros.")
    if answer.dtype == object:  # PNG files
        kind = expected.dtype
        answer = np.stack([tf.io.decode_png(image, dtype=kind).numpy() for image in answer])
    if answer.dtype == np.float32:
        if not np.isfinite(answer).all():
            raise ValueError(f"{name}: not all values are finite.")
        if key == "images_float":
            low, high = value_range
            answer = low + answer * (high - low)
            answer = answer if expected.dtype.kind == "f" else np.rint(answer)
    return largest_difference(name, answer, expected, value_range)


def largest_difference(
    name: str,
    answer: np.ndarray,
    expected: np.ndarray,
    value_range: tuple[float, float] = (0.0, 255.0),
) -> float:
    """Computes the largest difference between two sets of images, in gray levels.

    A level is a 255th of the range of the values; of uint8 images the result is a whole number.

    Raises:
        ValueError: if the shapes differ, or a pixel by more than one level; begins with `name`.
    """
    if answer.shape != expected.shape:
        raise ValueError(f"{name}: shape {answer.shape}, expected {expected.shape}.")
    off = float(np.abs(answer.astype(np.float64) - expected).max())
    levels = off * 255 / (value_range[1] - value_range[0])
    if levels > MAX_LEVELS:
        raise ValueError(f"{name}: a pixel is {levels:g} levels off, at most {MAX_LEVELS} allowed.")
    return int(levels) if expected.dtype == np.uint8 else round(levels, 4)


def _latencies(signature: Any, inputs: Mapping[str, tf.Tensor]) -> dict[str, Any]:
    """Measures medians of warm requests, in milliseconds per request.

    Batch sizes take turns: on a machine whose speed varies, all of them meet the same share of
    slow moments.
    """
    import tensorflow as tf

    batches = {
        n: {key: tf.repeat(value[:1], n, axis=0) for key, value in inputs.items()}
        for n in LATENCY_BATCHES
    }
    times: dict[int, list[float]] = {n: [] for n in batches}

    def call(n: int) -> float:
        begin = time.perf_counter()
        signature(**batches[n])["images"].numpy()
        return time.perf_counter() - begin

    for _ in range(LATENCY_WARMUP):  # The first request traces, and the next ones optimize.
        for n in batches:
            call(n)
    end = time.perf_counter() + LATENCY_SEC
    while not times[LATENCY_BATCHES[0]] or (
        len(times[LATENCY_BATCHES[0]]) < LATENCY_REPEATS and time.perf_counter() < end
    ):
        for n in batches:
            times[n].append(call(n))
    medians = {f"batch_{n}": round(1000 * float(np.median(x)), 2) for n, x in times.items()}
    calls = len(times[LATENCY_BATCHES[0]])
    return medians | {"calls": calls, "device": f"CPU, {_cores(os.cpu_count())}"}


def _cores(number: int | None) -> str:
    return f"{number} core{'' if number == 1 else 's'}"  # This process cannot import the package.


if __name__ == "__main__":
    sys.path.pop(0)  # This is the folder of this file, whose modules are not top-level modules.
    with np.load(sys.argv[2]) as file:
        print(json.dumps(_check(sys.argv[1], dict(file))))
