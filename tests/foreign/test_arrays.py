"""NumPy files: what NumPy writes is read, anything else is one line."""

import io
import os
import pathlib
import tracemalloc
import zipfile

import numpy as np
import pytest

from pgtf.foreign import arrays

HOSTILE = pathlib.Path(__file__).parents[1] / "data" / "hostile"
ARRAYS = [
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
    np.float64(3),
    np.zeros((0, 5), np.uint8),
    np.array([True, False]),
    np.array(["a", "bcd"]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda x: f"{np.asarray(x).dtype}")
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(array, version, tmp_path):
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array(file, np.asarray(array), version)
    found = arrays.read_npy(tmp_path / "x.npy", arrays.NUMBERS + arrays.TEXT)
    assert (found.dtype, found.flags.f_contiguous) == (array.dtype, array.flags.f_contiguous)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy_are_read(save, tmp_path):
    save(tmp_path / "x.npz", a=ARRAYS[0], about=np.array("text"))
    for file in (tmp_path / "x.npz", io.BytesIO((tmp_path / "x.npz").read_bytes())):
        found = arrays.read_npz(file)
        assert list(found) == ["a", "about"]
        np.testing.assert_array_equal(found["a"], ARRAYS[0])
        assert str(found["about"]) == "text"


def npy(descr="'<f4'", order="False", shape="(2,)", data=bytes(8), length=None):
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    size = len(header) if length is None else length
    return b"\x93NUMPY\x01\0" + size.to_bytes(2, "little") + header + data


DAMAGED = {
    "no array": (b"", "not a NumPy array file. Received: first bytes b''"),
    "a pickle": (b"\x80\x04K\x01.", "not a NumPy array file"),
    "an archive": ((HOSTILE / "npz-as-npy.npy").read_bytes(), "not a NumPy array file"),
    "version 9": (npy()[:6] + b"\x09" + npy()[7:], "not a NumPy array file"),
    "a syntax error": ((HOSTILE / "labels-token.npy").read_bytes(), "its header is damaged"),
    "a deep header": ((HOSTILE / "labels-recursion.npy").read_bytes(), "its header is damaged"),
    "another key": ((HOSTILE / "labels-typeerror.npy").read_bytes(), "its header is damaged"),
    "a header cut off": (npy()[:30], "its header is damaged"),
    "a code": (npy(descr="__import__('os')"), "its header is damaged"),
    "a key twice": (npy(order="False, 'descr': '<f4'"), "its header is damaged"),
    "a negative size": (npy(shape="(-2,)"), "its header is damaged"),
    "digits without end": (npy(shape="(" + 9000 * "1"), "its header is damaged"),
    "too many digits": (npy(shape="(" + 50 * "1" + ",)"), "its header is damaged"),
    "too many axes": (npy(shape="(" + 40 * "1," + ")"), "its header is damaged"),
    "no values of a huge size": (
        npy(shape="(0, 9223372036854775807)", data=b""),
        "must have fewer values",
    ),
    "no values of sizes whose product is huge": (
        npy(shape="(4294967296, 0, 4294967296)", data=b""),
        "must have fewer values",
    ),
    "a huge size": (npy(shape="(1152921504606846976, 4)"), "the file is truncated"),
    "one byte less": (npy()[:-1], "the file is truncated. Received: "),
    "one byte more": (npy() + b"\0", "the file is longer than its header says"),
    "objects": (npy(descr="'|O'"), r"must be numbers \(not \|O\)"),
    "fields": (npy(descr="[('a', '<f4')]"), "its header is damaged"),
    "complex": (npy(descr="'<c8'"), r"must be numbers \(not complex64\)"),
    "text": (npy(descr="'<U2'"), r"must be numbers \(not <U2\)"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_anything_else_is_one_line_that_names_the_file(what, tmp_path):
    content, message = DAMAGED[what]
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        arrays.read_npy(tmp_path / "x.npy")
    assert str(caught.value).startswith(f"{tmp_path}/x.npy: ")
    assert len(str(caught.value)) < 400


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def of_a_negative_place():
    """The directory says that it begins after its end."""
    data = archive(("a.npy", npy()))
    at = data.rindex(b"PK\5\6") + 16
    return data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :]


BAD_ARCHIVES = {
    "a negative place": (of_a_negative_place(), "not an .npz file, or damaged"),
    "no archive": (b"PK", "not an .npz file, or damaged"),
    "a bad sum": ((HOSTILE / "npz-as-npy.npy").read_bytes(), "Bad CRC-32 for file 'a.npy'"),
    "no directory": ((HOSTILE / "badzip.npy").read_bytes(), "not an .npz file, or damaged"),
    "a text": (archive(("a.npy", b"text")), "a.npy: not a NumPy array file"),
    "objects": (archive(("a.npy", npy(descr="'|O'"))), "a.npy: must be numbers"),
    "LZMA": (archive(("a.npy", npy()), compression=zipfile.ZIP_LZMA), "compressed in a way"),
    "a bomb": (archive(("a.npy", npy(shape="(1000000000,)"))), "the file is truncated"),
}


@pytest.mark.parametrize("what", BAD_ARCHIVES)
def test_a_bad_archive_is_one_line_that_names_the_file(what, tmp_path):
    content, message = BAD_ARCHIVES[what]
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        arrays.read_npz(tmp_path / "x.npz")
    assert str(caught.value).startswith(f"{tmp_path}/x.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(archive(("a.npy", npy()), ("a.npy", npy())))
    with pytest.raises(ValueError, match="two arrays have the same name"):
        arrays.read_npz(tmp_path / "x.npz")


def test_an_archive_is_not_unpacked_if_it_claims_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAX_NPZ_BYTES", 1 << 20)
    (tmp_path / "x.npz").write_bytes(archive(("a.npy", bytes(600_000)), ("b.npy", bytes(600_000))))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *args: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match="at most 10000 arrays of 1 MiB together. Received: 2 of"):
        arrays.read_npz(tmp_path / "x.npz")


def test_an_archive_is_not_listed_if_its_list_is_long(tmp_path, monkeypatch):
    content = archive(*((f"{i}.npy", npy()) for i in range(20)))
    (tmp_path / "x.npz").write_bytes(content)
    monkeypatch.setattr(arrays, "MAX_DIRECTORY", 1000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: pytest.fail("listed"))
    with pytest.raises(ValueError, match=r"list of files has 1\d\d\d bytes, more than 1000"):
        arrays.read_npz(tmp_path / "x.npz")


def test_a_compressed_array_takes_no_memory_beside_its_own(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1 << 25, np.uint8))
    tracemalloc.start()
    try:
        arrays.read_npz(tmp_path / "x.npz")
        assert tracemalloc.get_traced_memory()[1] < 1.2 * 2**25
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [arrays.read_npy, arrays.read_npz])
def test_a_pipe_is_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(ValueError, match="x: must be a regular file, not a pipe or a device"):
        read(tmp_path / "x")


@pytest.mark.parametrize("read", [arrays.read_npy, arrays.read_npz])
def test_a_missing_file_is_missing(read, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere")
