"""A color map needs matplotlib: without it nothing begins that would end without its pictures."""

import sys

import numpy as np
import pytest

from pgtf.api import preparation
from pgtf.api.options import TrainOptions
from pgtf.commands import generate, generate_flags
from pgtf.config import Config
from pgtf.interop import save_snapshot
from tests import tiny
from tests.dataset.commands import run as dataset_tool

REMEDY = "color map magma needs matplotlib: .*pip install matplotlib"


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Returns the function that takes the package away, after a test has made its files."""
    return lambda: monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing None raises


@pytest.fixture
def snapshot(tmp_path):
    kinds = (tiny.generator, tiny.discriminator, tiny.generator)
    G, D, Gs = (make(seed, num_channels=1) for seed, make in enumerate(kinds))
    meta = {"dtype": "uint16", "range": [0.0, 4000.0], "preview": "magma"}
    save_snapshot(tmp_path / "network-snapshot-000012.h5", G, D, Gs, cur_nimg=12000, **meta)
    np.save(tmp_path / "target.npy", np.zeros((16, 16, 1), np.uint16))
    return tmp_path / "network-snapshot-000012.h5"


@pytest.mark.parametrize(
    "command", [["explore"], ["directions"], ["project", "--target=target.npy"], ["grid"]]
)
def test_a_command_that_draws_says_so_before_it_works(
    command, snapshot, without_matplotlib, monkeypatch
):
    monkeypatch.chdir(snapshot.parent)
    before = sorted(snapshot.parent.iterdir())
    args = generate_flags.parse(["generate.py", *command, f"--snapshot={snapshot}"])
    without_matplotlib()
    with pytest.raises(ValueError, match=REMEDY):
        generate.COMMANDS[command[0]](args)
    assert sorted(snapshot.parent.iterdir()) == before


def test_training_says_so_before_it_has_a_folder(tmp_path, without_matplotlib):
    np.save(tmp_path / "values.npy", np.arange(4 * 64, dtype=np.float32).reshape(4, 8, 8))
    out = tmp_path / "set"
    assert dataset_tool("create_from_arrays", out, tmp_path / "values.npy", "--preview=magma") == 0
    config = Config().replace({"dataset.path": str(out)})
    without_matplotlib()
    with pytest.raises(ValueError, match=REMEDY):
        preparation.prepared(TrainOptions(), config, 1)
