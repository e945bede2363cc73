"""Damaged and hostile sources of every kind: one line that names the file, and nothing left."""

import gzip
import os
import pathlib
import re
import shutil
import signal
import struct
import zlib

import h5py
import numpy as np
import PIL.Image
import pytest
import scipy.io

from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import hdf5, mnist, svhn
from pgtf.foreign import packed as unpacking
from tests.dataset import original, recipes
from tests.dataset.commands import run, save_pictures

HOSTILE = pathlib.Path(__file__).parents[1] / "data" / "hostile"
ONE = Options(num_workers=1)
LMDBS = {
    "lmdb-abort": "damaged: reading it ended with SIGABRT. Get an intact copy",
    "lmdb-sigbus": "damaged: reading it ended with SIGBUS. Get an intact copy",
    "lmdb-corrupted": r"damaged(: .* SIGBUS| \(mdb_cursor_get: MDB_CORRUPTED).*",  # LMDB 1 dies
    "lmdb-notfound": r"damaged \(mdb_cursor_get: MDB_PAGE_NOTFOUND.*Download it again",
}


def one_line(capsys):
    errors = [x for x in capsys.readouterr().err.splitlines() if "Writing" not in x and x]
    assert len(errors) == 1, errors
    return errors[0]


@pytest.mark.parametrize("name", LMDBS)
def test_a_damaged_lmdb_is_one_line(name, tmp_path, capsys):
    pytest.importorskip("cv2")
    assert run("create_lsun", tmp_path / "out", HOSTILE / name, "--resolution=16") == 2
    assert re.fullmatch(f"error: {HOSTILE / name}: {LMDBS[name]}.", one_line(capsys))
    assert list(tmp_path.iterdir()) == []


def test_opencv_decodes_no_gif_of_which_it_makes_an_array_without_colors(tmp_path, capsys):
    pytest.importorskip("cv2")
    source = HOSTILE / "lmdb-indexerror"
    assert run("create_lsun", tmp_path / "out", source, "--resolution=16") == 0
    assert "Images         3\n" in capsys.readouterr().out  # Pillow decodes it.


def test_an_lmdb_with_fewer_entries_than_it_claims_is_damaged(tmp_path):
    lsun = pytest.importorskip("pgtf.dataset.sources.lsun")
    found = [(b"a", b"1"), (b"b", b""), (b"c", b"345")]
    entries = lsun._entries("in", iter([lsun._chunk(found[:2]), lsun._chunk(found[2:])]), 4)
    assert [next(entries) for _ in found] == found
    with pytest.raises(ValueError, match="^in: damaged: it must hold 4 entries. Received: 3"):
        next(entries)


def test_an_empty_lmdb_is_named(tmp_path, capsys):
    lmdb, _ = pytest.importorskip("lmdb"), pytest.importorskip("cv2")
    lmdb.open(str(tmp_path / "in")).close()
    assert run("create_lsun", tmp_path / "out", tmp_path / "in") == 2
    assert one_line(capsys) == f"error: {tmp_path}/in: has no entries. Download it again."


def test_a_pipe_for_an_lmdb_is_not_waited_for(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "data.mdb")
    assert run("create_lsun", tmp_path / "out", tmp_path / "in") == 2
    assert "data.mdb: must be a regular file" in one_line(capsys)


def test_a_damaged_matlab_file_is_one_line(capsys, tmp_path):
    assert run("create_svhn", tmp_path / "out", HOSTILE / "mat-segv") == 2
    assert "train_32x32.mat: not the MATLAB file of SVHN" in one_line(capsys)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ((32, 32, 3, 2000), (2000, 1), r"`X` .* shape \(32, 32, 3, 2\), found \(32, 32, 3, 2000\)"),
        ((32, 32, 3, 2), (10**6, 1), r"`y` .* shape \(2, 1\), found \(1000000, 1\)"),
        ((32, 32, 3, 2), None, r"`y` must be an array of shape \(2, 1\), found None"),
    ],
)
def test_a_matlab_file_of_another_size_is_not_unpacked(X, y, message, tmp_path):
    content = {"X": np.zeros(X, np.uint8)} | ({} if y is None else {"y": np.zeros(y, np.uint8)})
    scipy.io.savemat(tmp_path / "train_32x32.mat", content, do_compression=True)
    with pytest.raises(ValueError, match=message):
        svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)


def test_a_matlab_file_whose_data_inflate_to_gigabytes_is_one_line(tmp_path):
    """The header says 32x32x3x2, the tag of the data 2 GB."""
    scipy.io.savemat(
        tmp_path / "x.mat",
        {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.zeros((2, 1), np.uint8)},
    )
    data = (tmp_path / "x.mat").read_bytes()
    tag = struct.pack("<II", 2, 6144)  # of the pixels
    at = data.index(tag)
    size = struct.unpack_from("<I", data, 132)[0]
    packer = zlib.compressobj(1)
    packed = packer.compress(data[128:at] + struct.pack("<II", 2, 2_000_000_000))
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    rest = data[136 + size :]
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(data[:128] + struct.pack("<II", 15, len(packed)) + packed + rest)
    with pytest.raises(
        ValueError,
        match="train_32x32.mat: not the MATLAB file of SVHN, or damaged .`X` must have 6144",
    ):
        svhn.create_svhn(str(tmp_path / "out"), str(tmp_path), ONE, num_images=2)


def test_mnist_unpacks_no_more_than_it_needs(tmp_path, monkeypatch):
    recipes.write_mnist(tmp_path / "in", num=5)
    images = tmp_path / "in" / "train-images-idx3-ubyte"
    bomb = gzip.compress(images.read_bytes() + bytes(1 << 26), 1)
    images.with_suffix(".gz").write_bytes(bomb)
    unpacked = []
    readinto = unpacking.Unpacked.readinto

    def counted(self, buffer):
        unpacked.append(readinto(self, buffer))
        return unpacked[-1]

    monkeypatch.setattr(unpacking.Unpacked, "readinto", counted)
    with pytest.raises(ValueError, match="idx3-ubyte.gz: must hold 5 entries, .* Received: more"):
        mnist.create_mnist(str(tmp_path / "out"), str(tmp_path / "in"), ONE, num_images=5)
    assert 16 + 5 * 28 * 28 < sum(unpacked) < 1 << 17


@pytest.mark.parametrize("size", [0, 3, 15, 16, 100])
def test_a_short_mnist_file_is_one_line_that_names_it(size, tmp_path):
    recipes.write_mnist(tmp_path / "in", num=5)
    os.truncate(tmp_path / "in" / "train-images-idx3-ubyte", size)
    with pytest.raises(ValueError, match="idx3-ubyte: (not an IDX file|must hold 5 entries)"):
        mnist.create_mnist(str(tmp_path / "out"), str(tmp_path / "in"), ONE, num_images=5)


@pytest.mark.parametrize("name", ["h5-keyerror.h5", "h5-runtimeerror.h5"])
def test_a_damaged_hdf5_file_is_one_line(name, tmp_path, capsys):
    assert run("create_from_hdf5", tmp_path / "out", HOSTILE / name) == 2
    assert f"{name}: not an HDF5 file, or damaged (" in one_line(capsys)


def link_outside(file, folder):
    file["data4x4"] = h5py.ExternalLink("other.h5", "/data")


def link_inside(file, folder):
    file["secret"] = np.zeros((2, 3, 4, 4), np.uint8)
    file["data4x4"] = h5py.SoftLink("/secret")


def lies_in_another_file(file, folder):
    (folder / "raw").write_bytes(bytes(96))
    file.create_dataset("data4x4", (2, 3, 4, 4), np.uint8, external=[(str(folder / "raw"), 0, 96)])


def is_virtual(file, folder):
    layout = h5py.VirtualLayout((2, 3, 4, 4), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "data", (2, 3, 4, 4))
    file.create_virtual_dataset("data4x4", layout)


def claims_many(file, folder):
    file.create_dataset("data4x4", (1 << 50, 3, 4, 4), np.uint8, chunks=(16, 3, 4, 4))


def claims_many_packed(file, folder):
    file.create_dataset("data4x4", (1 << 50, 3, 4, 4), np.uint8, compression="gzip")


def inflates(file, folder):
    """One image is in a chunk of 1.5 GiB, which may have a few bytes in the file."""
    made = file.create_dataset(
        "data4x4", (1 << 25, 3, 4, 4), np.uint8, chunks=(1 << 25, 3, 4, 4), compression="gzip"
    )
    made.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(1 << 24)))


BAD_HDF5 = {
    link_outside: "data4x4 is a link. Only arrays in the file itself are read",
    link_inside: "data4x4 is a link",
    lies_in_another_file: "data4x4 lies in other files",
    is_virtual: "data4x4 lies in other files",
    claims_many: r"data4x4 must be whole. Received: shape=\[1125899906842624, 3, 4, 4\]",
    claims_many_packed: "data4x4 must be whole",
    inflates: r"data4x4 must have chunks of at most 256 MiB.* chunks=\[33554432, 3, 4, 4\]",
}


@pytest.mark.parametrize("spoil", BAD_HDF5, ids=lambda spoil: spoil.__name__)
def test_hdf5_reads_nothing_outside_of_the_file_and_believes_no_size(spoil, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.zeros((2, 3, 4, 4), np.uint8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        spoil(file, tmp_path)
    with pytest.raises(ValueError, match=f"x.h5:? .*({BAD_HDF5[spoil]})"):
        hdf5.create(str(tmp_path / "out"), str(tmp_path / "x.h5"), options=ONE)


@pytest.mark.parametrize("kind", ["token", "recursion", "typeerror"])
def test_a_damaged_label_file_is_one_line(kind, tmp_path, capsys):
    shutil.copytree(original.FULL / "hdf5", tmp_path / "hdf5")
    shutil.copy(HOSTILE / f"labels-{kind}.npy", tmp_path / "hdf5" / "hdf5-rxx.labels")
    for command in ("verify", "display"):
        assert run(command, tmp_path / "hdf5") == 2
        assert "hdf5-rxx.labels: not a NumPy array file" in one_line(capsys)


PIPES = [
    ("create_from_images out pictures --labels=pipe.npy", "pipe.npy"),
    ("create_from_images out pictures --labels=pipe.json", "pipe.json"),
    ("create_from_images out pictures --labels=pipe.csv", "pipe.csv"),
    ("create_faces out pictures pipe.csv", "pipe.csv"),
    ("create_faces out pictures pipe.json", "pipe.json"),
    ("create_from_hdf5 out pipe.h5", "pipe.h5"),
    ("create_mnist out mnist", "train-images-idx3-ubyte.gz"),
    ("create_svhn out svhn", "train_32x32.mat"),
    ("verify data", "data.json|data-r02.tfrecords"),
]


def test_no_command_waits_for_a_pipe(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_pictures(tmp_path / "pictures", 3, "png")
    for folder in ("mnist", "svhn", "data"):
        (tmp_path / folder).mkdir()
    for name in (
        "mnist/train-images-idx3-ubyte.gz",
        "svhn/train_32x32.mat",
        "data/data-r02.tfrecords",
    ):
        os.mkfifo(name)
    for end in ("npy", "json", "csv", "h5"):
        os.mkfifo(f"pipe.{end}")
    signal.alarm(60)
    try:
        for line, name in PIPES:
            assert run(*line.split()) == 2, line
            assert re.search(f"({name}).*must be a regular file", one_line(capsys)), line
    finally:
        signal.alarm(0)


def test_names_of_files_command_no_terminal(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\x1b[31m.png").write_bytes(b"no picture")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in") == 2
    assert "in/a\\x1b[31m.png: not an image" in one_line(capsys)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "in" / "b.png")
    assert run("create_from_images", tmp_path / "out", tmp_path / "in", "--max_errors=1") == 0
    out = capsys.readouterr().out
    assert "a\\x1b[31m.png" in out
    assert "\x1b" not in out
