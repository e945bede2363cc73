"""Images of five bands: examples/bands.py."""

import numpy as np
import pytest

from examples import bands
from pgtf.dataset import inspection
from tests.dataset.commands import run


def test_the_bands_are_a_dataset_of_five_channels_of_float32(tmp_path, capsys):
    bands.make(tmp_path / "npy", 6)
    flags = ("--grid=5x4", "--preview=2,1,0", "--shuffle=0")
    assert run("create_from_arrays", tmp_path / "set", tmp_path / "npy", *flags) == 0
    dataset = inspection.verify(str(tmp_path / "set"))
    assert (dataset.size, dataset.num_channels, dataset.num_images) == ((40, 32), 5, 6)
    stored = np.load(tmp_path / "npy" / "bands-000.npy")
    np.testing.assert_array_equal(dataset.read_images(range(6)), stored)
    assert dataset.dtype == np.float32
    assert 0 < dataset.value_range[0] < dataset.value_range[1] < 1
    assert dataset.meta["preview"] == "2,1,0"


def test_indices_tell_plants_from_water(tmp_path, capsys):
    rows = np.stack([*bands.LAND, bands.WATER])
    assert bands.indices_of(rows) == {"plants": 3 / 6, "water": 1 / 6}
    np.save(tmp_path / "x.npy", rows)
    bands.measure([tmp_path])
    assert "plants 50.0%, water 16.7%" in capsys.readouterr().out
    np.save(tmp_path / "y.npy", rows[:, :4])
    with pytest.raises(ValueError, match=r"y.npy: must have 5 bands as its last axis"):
        bands.measure([tmp_path])
