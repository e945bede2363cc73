"""HDF5 files of named arrays: round trips, order of writing, and content that is refused."""

import contextlib
import hashlib
import io
import os

import h5py
import numpy as np
import pytest

from pgtf.interop.hdf5 import read_attributes, read_hdf5, write_hdf5


def test_arrays_of_every_rank_and_attributes_come_back_equal(tmp_path):
    arrays = {
        "scalar": np.float64(0.1),
        "empty": np.zeros([0, 3], "float32"),
        "flags": np.array([True, False]),
        "deep/er/name": np.arange(6, dtype=">i8").reshape(2, 3)[:, ::-1],
    }
    attributes = {"text": "ä" * 100_000, "count": 2**60, "rate": 0.1}
    write_hdf5(tmp_path / "a.h5", {"training": arrays, "none": {}}, attributes)
    groups, read = read_hdf5(tmp_path / "a.h5")
    assert read == attributes == read_attributes(tmp_path / "a.h5")
    assert groups.keys() == {"training", "none"}
    assert groups["training"].keys() == arrays.keys()
    for name, array in arrays.items():
        found = groups["training"][name]
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_content_is_on_the_disk_before_its_name_and_the_name_before_anything_later(tmp_path, disk):
    write_hdf5(tmp_path / "a.h5", {"G": {"weight": np.ones(3)}}, {})
    size = (tmp_path / "a.h5").stat().st_size
    assert disk == [f"a.h5.{os.getpid()}.tmp: {size} bytes", "rename", f"{tmp_path.name}/"]


def with_dataset(path, **options):
    """Writes a file with a right checksum and the dataset G/weight of unusual storage."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.create_dataset("G/weight", **options)
    path.write_bytes(image.getvalue() + checksum_line(image.getvalue()))


def checksum_line(data):
    return f"\nsha256:{hashlib.sha256(data).hexdigest()}\n".encode()


def test_data_outside_the_file_is_not_read(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"0" * 12)
    place = [(str(tmp_path / "secret.bin"), 0, 12)]
    with_dataset(tmp_path / "a.h5", shape=(3,), dtype="float32", external=place)
    with pytest.raises(ValueError, match="G/weight is not stored as this program stores"):
        read_hdf5(tmp_path / "a.h5")


def test_a_huge_array_that_is_not_there_is_not_allocated(tmp_path):
    with_dataset(tmp_path / "a.h5", shape=(10**13,), dtype="float32")
    with pytest.raises(ValueError, match="G/weight is not stored as this program stores"):
        read_hdf5(tmp_path / "a.h5")


def test_text_in_place_of_weights_is_refused(tmp_path):
    with_dataset(tmp_path / "a.h5", data=np.array([b"import os"]))
    with pytest.raises(ValueError, match="G/weight is not numeric"):
        read_hdf5(tmp_path / "a.h5")


@pytest.mark.parametrize("read", [read_hdf5, read_attributes])
@pytest.mark.parametrize("has_writer", [False, True])
def test_a_pipe_is_refused_and_not_waited_for(read, has_writer, tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with open(tmp_path / "a.h5", "r+b", buffering=0) if has_writer else contextlib.nullcontext():
        with pytest.raises(ValueError, match="a.h5: not an HDF5 file"):
            read(tmp_path / "a.h5")
