"""Regressions of the programs that an H200 would run, read from what XLA compiles for one.

Without JAX, or without $JAX_PYTHON, a Python that has it, there is nothing to compile with
(requirements-gpu-program.txt). The limits are a few percent above the numbers of November 2026.
"""

import importlib.util
import os

import pytest

from benchmarks import gpu_program
from benchmarks.gpu_hlo import kernels_of

LIMITS = gpu_program.LIMITS
LARGE = 1_000_000  # elements

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("JAX_PYTHON") and importlib.util.find_spec("jax") is None,
        reason="needs requirements-gpu-program.txt",
    ),
]


@pytest.fixture(scope="module", params=LIMITS, ids=lambda key: f"{key[0]} at {key[1]}x{key[1]}")
def program(request, tmp_path_factory):
    """One update's limits and kernels."""
    part, resolution, minibatch = request.param
    folder = tmp_path_factory.mktemp("programs")
    text = gpu_program.compiled(resolution, minibatch, "bf16", part, folder)
    return LIMITS[request.param], kernels_of(text)


def test_kernels_bytes_copies_and_convolutions_stay_under_their_limits(program):
    limits, kernels = program
    found = gpu_program.summary(kernels)
    found["convolutions"] = sum(found["convolutions"].values())
    for name, limit in limits.items():
        assert 0.5 * limit <= found[name] <= limit, (name, found)


def test_no_convolution_has_groups(program):
    _, kernels = program
    assert {kernel.groups for kernel in kernels if kernel.is_convolution} == {1}


def test_no_large_convolution_is_one_of_float32(program):
    _, kernels = program
    large = [k.convolution for k in kernels if k.is_convolution and k.largest > LARGE]
    assert not [name for name in large if name.endswith(" f32")]
