"""The folder of compiled programs: private, named before TensorFlow's import, and only for GPUs."""

import os
import stat
import subprocess
import sys

import pytest

from pgtf.commands import compilation_cache

VARIABLE = "TF_XLA_FLAGS"


@pytest.fixture
def with_gpu(monkeypatch, tmp_path):
    """A home folder of its own on a machine with a GPU."""
    monkeypatch.setattr(compilation_cache, "_GPUS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "cache" / "pgtf" / "xla"


def test_the_cache_is_named_to_tensorflow_and_belongs_to_the_user_alone(with_gpu):
    compilation_cache.choose()
    flags = os.environ[VARIABLE].split()
    assert f"--tf_xla_persistent_cache_directory={with_gpu}" in flags
    for folder in (with_gpu, with_gpu.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_open_to_others_is_closed(with_gpu):
    with_gpu.mkdir(parents=True)
    with_gpu.chmod(0o777)
    compilation_cache.choose()
    assert stat.S_IMODE(with_gpu.stat().st_mode) == 0o700


def test_a_link_to_somewhere_else_is_no_cache(with_gpu, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with_gpu.parent.mkdir(parents=True)
    with_gpu.symlink_to(tmp_path / "elsewhere")
    compilation_cache.choose()
    assert VARIABLE not in os.environ


def test_what_the_environment_says_already_stays(with_gpu, monkeypatch):
    monkeypatch.setenv(VARIABLE, "--tf_xla_persistent_cache_directory=/mine")
    compilation_cache.choose()
    assert os.environ[VARIABLE] == "--tf_xla_persistent_cache_directory=/mine"
    monkeypatch.setenv(VARIABLE, "--tf_xla_clustering_debug")
    compilation_cache.choose()
    assert os.environ[VARIABLE].startswith("--tf_xla_clustering_debug --tf_xla_persistent_cache")


def test_without_a_gpu_nothing_is_made(with_gpu, monkeypatch):
    monkeypatch.setattr(compilation_cache, "_GPUS", "/nowhere/nvidia[0-9]*")
    compilation_cache.choose()
    assert not with_gpu.exists()
    assert VARIABLE not in os.environ


@pytest.mark.slow
def test_tensorflow_knows_the_options_and_writes_programs_there(tmp_path):
    """Compiles for a CPU, whose names are those of a GPU with another letter."""
    code = (
        "import tensorflow as tf\n"
        "f = tf.function(lambda x: tf.sin(x) + 1, jit_compile=True)\n"
        "f(tf.zeros([3]))"
    )
    types = compilation_cache._DEVICE_TYPES
    for devices, is_written in ((types.replace("GPU", "CPU"), True), (types, False)):
        folder = tmp_path / devices
        folder.mkdir()
        options = f"--tf_xla_persistent_cache_directory={folder}"
        options += f" --tf_xla_persistent_cache_device_types={devices}"
        environment = os.environ | {VARIABLE: options, "CUDA_VISIBLE_DEVICES": "-1"}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        assert bool(list(folder.iterdir())) == is_written
