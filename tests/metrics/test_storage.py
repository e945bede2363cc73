"""Rows that do not fit in memory are the same rows."""

import numpy as np
import pytest

from pgtf.metrics.interface import Counts
from pgtf.metrics.kid import Kid
from pgtf.metrics.storage import Rows


@pytest.mark.parametrize(("max_bytes", "kind"), [(100 * 7 * 4, np.ndarray), (2799, np.memmap)])
def test_rows_come_back_from_memory_and_from_a_file(rng, tmp_path, monkeypatch, max_bytes, kind):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    expected = rng.normal(size=(100, 7)).astype(np.float32)
    rows = Rows(100, max_bytes)
    for part in np.split(expected, [1, 64, 64, 99]):
        rows.append(part)
    assert type(rows.array().base if kind is np.ndarray else rows.array()) is kind
    np.testing.assert_array_equal(rows.array(), expected)
    assert list(tmp_path.iterdir()) == []  # The file has no name.


def test_rows_may_be_fewer_than_promised():
    rows = Rows(10)
    assert len(rows.array()) == 0
    rows.append(np.ones((3, 2), np.float32))
    assert rows.array().shape == (3, 2)


def test_features_are_restored_from_their_state(rng):
    features = rng.normal(size=(5, 4)).astype(np.float32)
    measure = Kid(Counts(3, 5), (16, 16, 3), seed=0)
    measure.restore_reals({"features": features})
    np.testing.assert_array_equal(measure.reals_state()["features"], features)
