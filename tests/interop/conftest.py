"""Pickles of the original releases."""

import numpy as np
import pytest

from pgtf.interop import load_pkl
from tests.interop.pickles import pickled


@pytest.fixture
def load(tmp_path):
    def load_states(*states, module_name="tfutil"):
        path = tmp_path / "network.pkl"
        path.write_bytes(pickled(module_name, *states))
        return load_pkl(path)

    return load_states


@pytest.fixture
def rng():
    return np.random.default_rng(5)
