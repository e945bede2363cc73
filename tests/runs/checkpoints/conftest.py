"""A training state, and its checkpoints in a folder."""

import pytest

from pgtf.distribution.workers import Workers
from pgtf.runs.checkpoints import Checkpoints
from pgtf.runs.identity import Source
from pgtf.training.state import TrainingState


@pytest.fixture(scope="module")
def built(config, strategy):
    """A state, and its content at the start of a run."""
    state = TrainingState(config, strategy)
    return state, state.pack()


@pytest.fixture
def state(built):
    """The state as at the start of a run: to set it takes a tenth of the time to build it."""
    state, initial = built
    state.unpack(*initial, "memory")
    return state


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


@pytest.fixture
def checkpoints(folder, config, source, strategy):
    return Checkpoints(folder, config, source, Workers(strategy))


@pytest.fixture(scope="session")
def source(dataset):
    return Source.of(dataset)


def save_at(checkpoints, state, *nimgs):
    for nimg in nimgs:
        state.progress.cur_nimg = nimg
        checkpoints.save(state)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def numbers(state):
    groups, _ = state.pack()
    return {f"{group}/{name}": a for group, arrays in groups.items() for name, a in arrays.items()}
