"""Starts train.py in separate processes: alone, or as the workers of one job."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import h5py
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pgtf.dataset.tfrecords import to_records

ROOT = pathlib.Path(__file__).parents[2]
TINY = (  # 8x8 from the start on, 8 feature maps: a call of 8 iterations takes some 50 ms
    "--preset=demo",
    "--gpus=0",
    "--config.G.fmap_base=32",
    "--config.D.fmap_base=32",
    "--config.G.fmap_max=8",
    "--config.D.fmap_max=8",
    "--config.schedule.minibatch_dict=none",
    "--config.schedule.tick_kimg_dict=none",
    "--config.schedule.lod_initial_resolution=8",
    "--config.schedule.lod_training_kimg=0",
    "--config.schedule.lod_transition_kimg=0",
    "--config.training.minibatch_repeats=1",
)
TIMEOUT_SEC = 300


def write_blocks(folder, num_images=40, resolution_log2=3):
    """Creates a folder with a dataset of blocky images and labels of four classes."""
    folder.mkdir()
    corners = np.random.default_rng(0).integers(0, 256, (num_images, 3, 4, 4), np.uint8)
    for log2 in range(2, resolution_log2 + 1):
        enlarged = corners.repeat(2 ** (log2 - 2), 2).repeat(2 ** (log2 - 2), 3)
        (folder / f"blocks-r{log2:02d}.tfrecords").write_bytes(to_records(enlarged).tobytes())
    with open(folder / "blocks-rxx.labels", "wb") as file:
        np.save(file, np.eye(4, dtype=np.float32)[np.arange(num_images) % 4])


def start(arguments, output, **environment):
    """Starts train.py with its output in a file, and its temporary files in that file's folder."""
    command = [sys.executable, "train.py", *map(str, arguments)]
    environment = os.environ | {"TMPDIR": str(output.parent)} | environment
    with open(output, "w") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)


def start_workers(number, arguments, folder):
    """Starts a job of several workers on this machine, connected by TF_CONFIG alone."""
    configs = tf_configs(number)
    return [
        start(arguments, folder / f"worker-{index}.txt", TF_CONFIG=config)
        for index, config in enumerate(configs)
    ]


def tf_configs(number):
    """Returns TF_CONFIG for each worker of a job on the loopback interface."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(number)]}
    tasks = [{"type": "worker", "index": index} for index in range(number)]
    return [json.dumps({"cluster": cluster, "task": task}) for task in tasks]


def wait(processes, timeout_sec=TIMEOUT_SEC):
    """Returns the exit codes of all processes. Kills those that exceed the time limit."""
    try:
        return [process.wait(timeout_sec) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(condition, process):
    """Waits until condition() is true. Raises TimeoutError if the process ends first."""
    end = time.monotonic() + TIMEOUT_SEC
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise TimeoutError(f"the condition never held; exit code {process.poll()}")
        time.sleep(0.02)


def num_ticks(outdir):
    """Counts the lines of the only run's stats.jsonl; 0 if there is none yet."""
    return sum(len(path.read_text().splitlines()) for path in outdir.glob("*/stats.jsonl"))


def snapshot_arrays(outdir):
    """Returns the weights of G, D and Gs in the only run's last snapshot: {name: array}."""
    found = {}
    with h5py.File(sorted(outdir.glob("*/network-snapshot-*.h5"))[-1]) as file:
        file.visititems(lambda name, item: found.update({name: np.array(item)}))
    return {name: array for name, array in found.items() if array.dtype.kind == "f"}


def curves(folder):
    """Returns what TensorBoard shows of a run folder: {tag: [(step, value), ...]}."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: [(x.step, tf.make_ndarray(x.tensor_proto).tolist()) for x in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def arrays(path):
    """Returns all arrays of real numbers in an HDF5 file by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: np.array(item)}))
    return {name: array for name, array in found.items() if array.dtype.kind == "f"}


def _free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class _Traced(Exception):
    """Ends a call of a stepper between tracing and running."""


def traced(stepper, call):
    """Traces the iterations of a call, and does not run them. Returns the function."""
    found, trace = [], stepper._trace

    def stop(stage):
        found.append(trace(stage))
        raise _Traced

    stepper._trace = stop
    with contextlib.suppress(_Traced):
        stepper.run(call)
    (function,) = found
    return function
