"""Minibatches on their way to the devices."""

import json
import subprocess
import sys

import pytest

from tests.training import jobs


@pytest.mark.slow
def test_minibatches_wait_on_the_gpu_for_the_iteration_that_takes_them(tmp_path):
    """Logical devices can only be made before TensorFlow starts, hence a process."""
    command = [sys.executable, "-m", "tests.training.fed_ahead", str(tmp_path / "blocks")]
    done = subprocess.run(command, cwd=jobs.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (on_host, images, rows), (on_gpu, same_images, same_rows) = json.loads(
        done.stdout.splitlines()[-1]
    ).values()
    assert on_host == ["CPU:0"]
    assert on_gpu == ["CPU:1"]
    assert same_images == images
    assert same_rows == rows
    assert len(rows) == 4
