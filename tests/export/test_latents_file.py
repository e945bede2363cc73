"""Latents from files, good and bad."""

import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from pgtf.export import latents_file
from pgtf.export.latents_file import read_latents


@pytest.fixture
def latents(rng):
    return rng.normal(size=[5, 8]).astype(np.float32)


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def with_header(fields, content=b""):
    """Makes an .npy file with any text as its header."""
    text = fields.encode() if isinstance(fields, str) else repr(fields).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def refusal(path, content=None, latent_size=8, label_size=0):
    """Reads a bad file. Returns the error's one line."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: .") as refused:
        read_latents(path, latent_size, label_size)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("kind", ["f2", "<f4", ">f4", "f8", ">f8", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_matrices_of_any_float_and_order_become_float32(tmp_path, latents, kind, order):
    stored = np.asarray(latents, kind, order=order)
    np.save(tmp_path / "a.npy", stored)
    np.savez_compressed(tmp_path / "a.npz", stored)
    for name in ("a.npy", "a.npz"):
        found, labels = read_latents(tmp_path / name, 8, 3)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, stored.astype(np.float32))
        assert labels is None


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_one_vector_may_have_no_axis_of_rows_in_every_version_of_the_format(
    tmp_path, latents, version
):
    (tmp_path / "a").write_bytes(npy(latents[0], version=version))  # the name does not matter
    np.testing.assert_array_equal(read_latents(tmp_path / "a", 8, 0)[0], latents[:1])


def test_the_array_named_latents_or_the_only_one_is_taken_and_labels_with_it(tmp_path, latents):
    labels = np.eye(3)[[0, 1, 2, 0, 1]]
    path = tmp_path / "a.npz"
    for arrays in ({"latents": latents, "w": labels}, {"z": latents}, {"anything": latents}):
        np.savez(path, **arrays)
        np.testing.assert_array_equal(read_latents(path, 8, 3)[0], latents)
        np.savez(path, **arrays, labels=labels)
        for given, expected in zip(read_latents(path, 8, 3), (latents, labels), strict=True):
            np.testing.assert_array_equal(given, expected)
    np.savez(path, latents=latents[0], labels=labels[1])
    assert read_latents(path, 8, 3)[1].tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "Received: 0 ()"),
        ({"labels": np.eye(8)}, "Received: 1 ('labels')"),
        ({"w": np.ones([2, 8])}, "`w` of StyleGAN is another space"),
        ({"a": np.ones([2, 8]), "b": np.ones([2, 8])}, "Received: 2 ('a', 'b')"),
        ({"latents": np.ones([2, 8]), "labels": np.ones([3, 3])}, "row per latent vector, 2"),
        ({"latents": np.ones([2, 8]), "labels": np.ones([2, 4])}, "`labels` must be [N, 3]"),
        ({"latents": np.ones([2, 8]), "labels": np.full([2, 3], np.nan)}, "`labels` must be fin"),
        ({"latents": np.ones([2, 7])}, "must be [N, 8] or [8], as the network's. Received: [2, 7]"),
        ({"latents": np.ones([1, 18, 8])}, "Received: [1, 18, 8]"),
        ({"latents": np.float32(1)}, "Received: []"),
        ({"latents": np.ones([0, 8])}, "Received: [0, 8]"),
        ({"latents": np.ones([2, 8], int)}, "Received: dtype=<i8"),
        ({"latents": np.ones([2, 8], bool)}, "Received: dtype=|b1"),
        ({"latents": np.ones([2, 8], complex)}, "Received: dtype=<c16"),
        ({"latents": np.array([["a"] * 8])}, "Received: dtype=<U1"),
        ({"latents": np.zeros([2, 8], "f4,f4")}, "its header is damaged"),
        ({"latents": np.array([[object()] * 8])}, "Received: dtype=|O"),
        ({"latents": np.array([[1.0] * 8, [np.inf] * 8])}, "or more in row 1"),
        ({"latents": np.full([2, 8], 1e39)}, "or more in row 0"),
        ({"latents": np.array([[1.0] * 8, [0.0] * 8])}, "latent vector 1 is all zeros"),
    ],
)
def test_what_does_not_fit_the_network_is_refused_with_what_was_found(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    assert words in refusal(tmp_path / "a.npz", label_size=3)
    if list(arrays) == ["latents"]:
        (array,) = arrays.values()
        assert words in refusal(tmp_path / "a.npy", npy(array), label_size=3)


def test_labels_for_a_network_without_them_are_refused_and_zeros_only_if_normalized(tmp_path):
    np.savez(tmp_path / "a.npz", latents=np.zeros([1, 8]), labels=np.ones([1, 3]))
    assert "this network has none" in refusal(tmp_path / "a.npz")
    assert not read_latents(tmp_path / "a.npz", 8, 3, normalized=False)[0].any()


def good(**fields):
    return {"descr": "<f4", "fortran_order": False, "shape": (2, 8)} | fields


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\x93NUM", b"\x93NUMPY\x09\x00", b"PK\x03\x04", b"PK\x03\x04" + bytes(100)),
        *(b"\x80\x04N.", b"no array", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", with_header("")),
        *(with_header(text) for text in ("(" * 9999, "[" * 300, "{" * 5000, "-" * 9999, "\0", "é")),
        *(
            with_header(text)
            for text in ("'\\ud800'", r"'\d'", "9" * 9999, "{}", "f()", "{[]: 1}", "1e999")
        ),
        with_header(good(shape=(2**62, 8))),
        with_header(good(shape=(10**300, 8)), bytes(64)),
        with_header(good(shape=(-2, 8)), bytes(64)),
        with_header(good(shape=(2.0, 8)), bytes(64)),
        with_header(good(shape=(True, 8)), bytes(32)),
        with_header(good(shape=8), bytes(32)),
        with_header(good(shape=(8,) * 100), bytes(32)),
        with_header(good(), bytes(63)),
        with_header(good(), bytes(65)),
        with_header(good(descr="<f3"), bytes(64)),
        with_header(good(descr="f4; import os"), bytes(64)),
        with_header(good(descr=8), bytes(64)),
        with_header(good(more=1), bytes(64)),
        with_header({"descr": "<f4"}, bytes(64)),
        npy(np.ones([2, 8])).replace(b"NUMPY", b"NUMPZ"),
    ],
    ids=range(37),
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content):
    assert len(refusal(tmp_path / "a.npy", content)) < 400
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("latents.npy", content)
    assert len(refusal(tmp_path / "a.npz")) < 400


@pytest.mark.parametrize("store", [np.savez, np.savez_compressed])
def test_no_damaged_byte_is_more_than_one_line(tmp_path, latents, store, rng):
    path, buffer = tmp_path / "a.npz", io.BytesIO()
    store(buffer, latents=latents, labels=np.eye(5))
    whole = buffer.getvalue()
    outcomes = set()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << rng.integers(8)
        path.write_bytes(content if position % 3 else whole[:position])
        try:
            read_latents(path, 8, 5)
            outcomes.add("")  # The byte is a date, or a field that nobody needs.
        except ValueError as error:
            outcomes.add(str(error))
    assert outcomes - {""}
    assert "" in outcomes
    assert all(x.startswith(f"{path}: ") and "\n" not in x for x in outcomes - {""})


def test_a_file_that_claims_more_than_it_has_costs_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(latents_file, "MAX_INFLATED_BYTES", 2**20)
    huge = with_header(good(shape=(2**22, 8)))  # 128 MiB
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("latents.npy", with_header(good(shape=(2**16, 8)), b"\1" * 2**21))
    tracemalloc.start()
    try:
        assert "Received: 73 bytes, where shape=(4194304, 8), dtype=<f4 needs 134217801" in refusal(
            tmp_path / "a", huge
        )
        assert len(bomb.getvalue()) < 10_000
        assert "must have at most 1048576 bytes" in refusal(tmp_path / "a", bomb.getvalue())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_file_too_large_is_refused_unread(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        file.write(with_header(good(shape=(2**26, 8))))
        file.truncate(file.tell() + 2**31)  # sparse
    assert "at most 1073741824 bytes. Received: 2147483648" in refusal(tmp_path / "a.npy")


def test_an_encrypted_array_and_one_of_unknown_compression_are_refused(tmp_path, latents):
    buffer = io.BytesIO()
    np.savez(buffer, latents=latents)
    whole = buffer.getvalue()
    directory = whole.index(b"PK\x01\x02")
    for position, value in [(8, 1), (10, 99)]:  # flags, compression
        content = bytearray(whole)
        content[directory + position] = value
        content[position - 2] = value
        refusal(tmp_path / "a.npz", bytes(content))


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "must be a regular file" in refusal(tmp_path / "pipe")
    with pytest.raises(ValueError, match="/dev/zero: must be a regular file"):
        read_latents("/dev/zero", 8, 0)
    for path in (tmp_path, tmp_path / "none.npy"):
        with pytest.raises(OSError, match=str(path)):
            read_latents(path, 8, 0)
