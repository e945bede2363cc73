"""Augmented iterations compiled by XLA, and on several replicas."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.training import augmentation
from tests.training import jobs
from tests.training.test_augmentation import config_of, weights_after

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow  # XLA takes half a minute
def test_an_augmented_iteration_compiled_is_that_op_by_op(config, strategy, tmp_path):
    """At 16x16, where images are resampled, by another form of the interpolation."""
    jobs.write_blocks(tmp_path / "blocks", resolution_log2=4)
    dataset = open_dataset(tmp_path / "blocks", max_label_size=0)
    config = config_of(config, dataset, aug="ada", aug_p=0.8, watch=False)
    found = []
    for jit in ("off", "on"):
        changed = config.replace({"training.jit": jit, "training.adam_epsilon": 1e-3})
        assert augmentation.build(changed, strategy)._by_selection == (jit == "off")
        found.append(weights_after(changed, dataset, strategy))
    (arrays, rows), (others, other_rows) = found
    np.testing.assert_allclose(other_rows, rows, rtol=1e-3, atol=1e-4)
    for name, array in arrays.items():
        np.testing.assert_allclose(
            others[name], array, rtol=0, atol=1e-4 * max(np.abs(array).max(), 1e-3), err_msg=name
        )


@pytest.mark.slow  # a process with two replicas
def test_all_replicas_follow_the_same_probability(tmp_path):
    command = [sys.executable, "-m", "tests.training.adapting_replicas", str(tmp_path / "blocks")]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    # It rises by 16 / 64 after each of four intervals; the last call began after two of them, and
    # is cut at each measurement.
    assert found == {"p": 1.0, "replicas": [0.75, 0.75], "same_weights": True}
