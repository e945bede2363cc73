"""Fixtures for all tests. TensorFlow reads its log level when it is first imported."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest


@pytest.fixture
def seed():
    """The seed of everything random in a test."""
    return 1234


@pytest.fixture
def rng(seed):
    """NumPy's generator of the test's seed, a new one for each test."""
    return np.random.default_rng(seed)
