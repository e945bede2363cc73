"""Arrays in MATLAB files: those of SciPy are read bit for bit, any other file is one line."""

import numpy as np
import pytest
import scipy.io

from pgtf.foreign import matlab
from pgtf.foreign.matlab import read_mat

WANTED = {"X": [(2, 3, 4)], "label": [(5, 1), (1, 5)]}


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def path(request, tmp_path, rng):
    content = {
        "unused": np.array([1.5, 2]),
        "X": rng.integers(0, 256, (2, 3, 4), np.uint8),
        "label": np.array([[1, -2, 3, 2**40, 5]]),
    }
    scipy.io.savemat(tmp_path / "x.mat", content, do_compression=request.param)
    return tmp_path / "x.mat"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_arrays_are_those_that_scipy_reads(path):
    found, expected = read_mat(path, WANTED, "the file"), scipy.io.loadmat(path)
    for name in WANTED:
        assert found[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(found[name], expected[name])


def test_small_values_are_read(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"y": np.array([[3, 7]], np.uint8)})
    assert read_mat(tmp_path / "x.mat", {"y": [(1, 2)]}, "x")["y"].tolist() == [[3, 7]]


def test_no_damaged_byte_is_more_than_one_line(path, rng):
    whole, expected, outcomes = path.read_bytes(), read_mat(path, WANTED, "it"), set()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << rng.integers(8)
        path.write_bytes(content if position % 3 else whole[:position])
        try:
            found = read_mat(path, WANTED, "it")
            assert {name: a.shape for name, a in found.items()} == {
                name: a.shape for name, a in expected.items()
            }
            outcomes.add("")
        except ValueError as error:
            outcomes.add(str(error))
    assert len(outcomes) > 5
    assert all(x.startswith(f"{path}: not it, or damaged (") for x in outcomes - {""})
    assert not [x for x in outcomes if "\n" in x or len(x) > 300 + len(str(path))]


def test_pictures_of_larger_integers_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "MAX_FREE_BYTES", 100)
    content = {"X": np.zeros((2, 3, 4), np.int64), "label": np.zeros((5, 1), np.int64)}
    scipy.io.savemat(tmp_path / "x.mat", content, do_compression=True)
    with pytest.raises(ValueError, match="`X` must have integers of one byte"):
        read_mat(tmp_path / "x.mat", WANTED, "it")
    assert read_mat(tmp_path / "x.mat", {"label": [(5, 1)]}, "it")["label"].dtype == np.int64


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 3)), r"`X` must be an array of shape \(2, 3, 4\), found \(2, 3\)"),
        (np.full((2, 3, 4), 0.5), "`X` must have 24 integers"),
        (np.zeros((2, 3, 4), np.complex64), "`X` must be an array of numbers"),
        ("text", r"`X` must be an array of shape \(2, 3, 4\), found"),
        (np.zeros((2, 3, 4), object), "`X` must be an array of numbers"),
    ],
)
def test_other_arrays_are_named(value, message, tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"X": value, "label": np.zeros((5, 1), np.uint8)})
    with pytest.raises(ValueError, match=f"x.mat: not it, or damaged .{message}"):
        read_mat(tmp_path / "x.mat", WANTED, "it")
