"""Statistics of reference sets on disk: kept arrays come back, damaged files do not."""

import numpy as np
import pytest

from pgtf.metrics.cache import Cache

ARRAYS = {"mean": np.arange(3.0), "covariance": np.eye(3)}


def test_arrays_come_back_under_their_key_alone(tmp_path):
    cache = Cache(tmp_path / "new" / "folder")
    assert cache.load(images="a", mode="legacy") is None
    cache.save(ARRAYS, images="a", mode="legacy")
    found = cache.load(mode="legacy", images="a")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert cache.load(images="a", mode="clean") is None
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1


@pytest.mark.parametrize("cut", [False, True])
def test_a_file_damaged_at_any_byte_counts_as_absent(tmp_path, cut):
    cache = Cache(tmp_path)
    cache.save(ARRAYS, images="a")
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for i in range(len(content)):
        path.write_bytes(
            content[:i] + (b"" if cut else bytes([content[i] ^ 0x5A]) + content[i + 1 :])
        )
        assert cache.load(images="a") is None, i
    path.write_bytes(content)
    assert cache.load(images="a") is not None
