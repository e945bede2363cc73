"""Fixtures for all tests. TensorFlow reads its log level when it is first imported."""

import functools
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

from pgtf import files


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    """Makes attempts after EIO and ESTALE follow each other at once."""
    monkeypatch.setattr(files, "WAITS_SEC", (0.0,) * len(files.WAITS_SEC))


@pytest.fixture(autouse=True)
def tensorflow_logger():
    """The logger of TensorFlow, which a signal silences; its level stays that of before."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    yield logger
    logger.setLevel(level)


@pytest.fixture(scope="module")
def loaded_once():
    """Commands load and trace each network of generate.py's snapshots once for a file of tests."""
    from pgtf.export import source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "load_snapshot", functools.cache(source.load_snapshot))
        yield


@pytest.fixture
def seed():
    """The seed of everything random in a test."""
    return 1234


@pytest.fixture
def rng(seed):
    """NumPy's generator of the test's seed, a new one for each test."""
    return np.random.default_rng(seed)


@pytest.fixture
def disk(monkeypatch):
    """Events, in order: files synced with their size, folders synced, renames."""
    events, fsync = [], os.fsync

    def spy(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        size = "/" if os.path.isdir(path) else f": {os.fstat(descriptor).st_size} bytes"
        events.append(os.path.basename(path) + size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    for name in ("rename", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real: (events.append("rename"), real(*a)))
    return events
