"""Claims that need one NVIDIA GPU: pytest -m gpu tests/training/test_gpu.py"""

import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.training import jobs
from tests.training.test_precision import arrays_of, run

pytestmark = pytest.mark.gpu

ON_GPU = ["--gpus=1" if flag == "--gpus=0" else flag for flag in jobs.TINY]
FADING = 136  # images after which 8x8 fades in


@pytest.fixture(scope="module", autouse=True)
def float32_is_float32():
    tf.config.experimental.enable_tensor_float_32_execution(False)


def trained(config, dataset, device, iterations=4, **training):
    """Iterations in the middle of a fade: -> {name: array} of all weights, statistics."""
    config = config.replace({f"training.{k}": v for k, v in training.items()})
    strategy = tf.distribute.OneDeviceStrategy(device)
    state, statistics = run(config, dataset, strategy, iterations, FADING)
    arrays = arrays_of(state).items()
    return {k: v for k, v in arrays if k.startswith(("G/", "D/", "Gs/"))}, statistics


def largest_difference(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max(np.abs(ours[name] - theirs[name]).max() for name in ours)


def test_iterations_on_the_gpu_equal_those_on_the_cpu(config, dataset):
    """Adam divides by what may be tiny, so single weights differ by more than round-off."""
    (ours, statistics), (theirs, expected) = (
        trained(config, dataset, device, jit="off") for device in ("GPU:0", "CPU:0")
    )
    for name in ("G_loss", "D_loss", "mixed_norms"):
        np.testing.assert_allclose(statistics[name], expected[name], rtol=1e-3, atol=1e-4)
    assert largest_difference(ours, theirs) < 1e-3  # a step is 3e-3


def test_compiled_iterations_equal_those_that_are_not(config, dataset):
    (ours, _), (theirs, _) = (trained(config, dataset, "GPU:0", 1, jit=x) for x in ("on", "off"))
    assert largest_difference(ours, theirs) < 1e-3
    moved = [name for name in ours if np.any(ours[name] != theirs[name])]
    assert moved  # else nothing was compiled


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("jit", ["on", "off"])
def test_half_precision_follows_float32(config, dataset, precision, jit):
    _, single = trained(config, dataset, "GPU:0", jit="off")
    _, half = trained(config, dataset, "GPU:0", jit=jit, precision=precision)
    # The penalty of fp16 overflows at first, while its scale is too large.
    names = ["real_scores", "fake_scores"] + ["mixed_norms"] * (precision == "bf16")
    for name in names:
        np.testing.assert_allclose(half[name][0], single[name][0], rtol=0.1, atol=0.02)


def test_two_replicas_on_halves_of_one_gpu_equal_one(tmp_path):
    """Logical GPUs can only be made before TensorFlow starts, hence a process."""
    command = [sys.executable, "-m", "tests.training.two_logical_gpus", str(tmp_path / "blocks")]
    done = subprocess.run(command, cwd=jobs.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loss_difference = float(done.stdout.split()[-1])
    assert loss_difference < 1e-4


def test_train_py_trains_on_the_gpu_stops_at_sigterm_and_goes_on(dataset_folder, tmp_path):
    flags = [*ON_GPU, f"--dataset={dataset_folder}", f"--outdir={tmp_path / 'results'}"]
    flags += ["--total_kimg=20", "--config.schedule.tick_kimg_base=0.2", "--jit=off"]
    process = jobs.start(flags, tmp_path / "first.txt")
    jobs.wait_for(lambda: jobs.num_ticks(tmp_path / "results") >= 2, process)
    process.send_signal(signal.SIGTERM)
    assert jobs.wait([process]) == [143]
    again = jobs.start(flags, tmp_path / "second.txt")
    assert jobs.wait([again]) == [0], (tmp_path / "second.txt").read_text()[-2000:]
    assert "1 replica(s) on NVIDIA" in (tmp_path / "first.txt").read_text()
    weights = jobs.snapshot_arrays(tmp_path / "results")
    assert all(np.all(np.isfinite(array)) for array in weights.values())


def test_more_gpus_than_there_are_is_an_error_that_lists_them(dataset_folder, tmp_path):
    flags = [*jobs.TINY, f"--dataset={dataset_folder}", f"--outdir={tmp_path}", "--gpus=99"]
    process = jobs.start(flags, tmp_path / "output.txt")
    assert jobs.wait([process]) == [2]
    assert "/physical_device:GPU:0" in (tmp_path / "output.txt").read_text()
