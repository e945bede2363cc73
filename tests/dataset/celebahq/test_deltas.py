"""Deltas are decrypted and applied; every way in which one can be damaged is named."""

import base64
import bz2
import hashlib
import zipfile

import numpy as np
import pytest
from cryptography.fernet import Fernet

from pgtf.dataset.celebahq import deltas
from pgtf.dataset.celebahq.deltas import (
    Archives,
    DeltaDamaged,
    JpegDiffers,
    apply_tolerantly,
    check_archive,
    open_token,
)

from .fixture import DELTAS, jpeg_bytes, token, write_zip

JPEG, NAME = b"any bytes", "000123.jpg"
SIZE = 3 * 1024 * 1024


def sealed(content, jpeg=JPEG, name=NAME):
    """Encrypts a token for a file as in docs/celebahq.md, section 7."""
    key = hashlib.pbkdf2_hmac("sha256", jpeg, name.encode(), 100_000, 32)
    return Fernet(base64.urlsafe_b64encode(key)).encrypt(content)


def test_a_delta_comes_back_as_it_was_sealed(rng):
    delta = rng.integers(0, 256, (3, 1024, 1024)).astype(np.uint8)
    opened = open_token(sealed(bz2.compress(delta.tobytes())), JPEG, NAME)
    assert opened.dtype == np.uint8
    assert (opened == delta).all()


WRONG = {
    "another file": lambda: (token(4), jpeg_bytes(4) + b"\0", "000005.jpg"),
    "wrong salt": lambda: (token(4), jpeg_bytes(4), "000006.jpg"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_another_file_or_name_is_told_from_a_damaged_delta(case):
    with pytest.raises(JpegDiffers):
        open_token(*case())


def flipped(place):
    """The token of image 4 with one bit of its decoded bytes changed."""
    raw = bytearray(base64.urlsafe_b64decode(token(4)))
    raw[place] ^= 1
    return base64.urlsafe_b64encode(bytes(raw))


@pytest.mark.parametrize("place", [0, 3, 9, 16, 60, 5000, -40, -33, -1])
def test_a_flipped_bit_anywhere_is_a_damaged_delta(place):
    with pytest.raises(DeltaDamaged):
        open_token(flipped(place), jpeg_bytes(4), "000005.jpg")


DAMAGED = {
    "cut": lambda: token(4)[:-9],
    "empty": lambda: b"",
    "text": lambda: b"<html>quota exceeded</html>",
    "not compressed": lambda: sealed(b"plain"),
    "too short": lambda: sealed(bz2.compress(bytes(SIZE - 1))),
    "a bomb": lambda: sealed(bz2.compress(bytes(SIZE + 1))),
    "cut within": lambda: sealed(bz2.compress(bytes(SIZE))[:-5]),
}


@pytest.mark.parametrize("case", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_delta_is_named_in_one_line(case):
    jpeg, name = (jpeg_bytes(4), "000005.jpg") if case is DAMAGED["cut"] else (JPEG, NAME)
    with pytest.raises(DeltaDamaged) as error:
        open_token(case(), jpeg, name)
    assert "\n" not in str(error.value)


def test_archives_are_read_by_number(tmp_path):
    write_zip(tmp_path, [b"first", b"second"])
    archives = Archives(str(tmp_path))
    assert [archives.read(1), archives.read(0)] == [b"second", b"first"]
    with pytest.raises(FileNotFoundError, match="deltas00000.zip has no delta00002.dat"):
        archives.read(2)
    with pytest.raises(FileNotFoundError, match="deltas29000.zip is missing"):
        archives.read(29_001)


def test_a_flipped_byte_in_an_archive_is_a_damaged_delta(tmp_path):
    data = bytearray((DELTAS / "deltas00000.zip").read_bytes())
    data[5000] ^= 1
    (tmp_path / "deltas00000.zip").write_bytes(data)
    with pytest.raises(DeltaDamaged, match="delta00000.dat cannot be unpacked"):
        Archives(str(tmp_path)).read(0)
    path = str(tmp_path / "deltas00000.zip")
    assert check_archive(path, [], full=False) is None
    assert check_archive(path, [], full=True) == "deltas00000.zip: delta00000.dat is damaged"


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    write_zip(tmp_path, [bytes(100 << 20)])
    with pytest.raises(DeltaDamaged, match="zip bomb"):
        Archives(str(tmp_path)).read(0)
    assert "zip bomb" in check_archive(str(tmp_path / "deltas00000.zip"), [], full=False)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_unpacks_without_bound_is_refused(method, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "deltas00000.zip", "w", method) as archive:
        archive.writestr("delta00000.dat", bytes(1000))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *args: pytest.fail("unpacked"))
    with pytest.raises(DeltaDamaged, match="compressed in a way that no delta is"):
        Archives(str(tmp_path)).read(0)
    found = check_archive(str(tmp_path / "deltas00000.zip"), ["delta00000.dat"], full=True)
    assert found == "deltas00000.zip: delta00000.dat: it is compressed in a way that no delta is"


def test_an_archive_with_a_long_list_of_deltas_is_not_listed(tmp_path, monkeypatch):
    write_zip(tmp_path, [b"1"] * 50)
    monkeypatch.setattr(deltas, "MAX_DIRECTORY", 1000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: pytest.fail("listed"))
    assert "more than 1000" in check_archive(str(tmp_path / "deltas00000.zip"), [], full=False)
    with pytest.raises(DeltaDamaged, match="more than 1000"):
        Archives(str(tmp_path)).read(0)


@pytest.mark.parametrize("name", ["../delta00000.dat", "/etc/delta00000.dat", "a/delta00000.dat"])
def test_an_archive_with_another_entry_is_refused(tmp_path, name):
    path = tmp_path / "deltas00000.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("delta00000.dat", b"1")
        archive.writestr(name, b"2")
    assert f"no delta: {name!r}" in check_archive(str(path), [], full=False)


def test_a_web_page_or_half_an_archive_is_named(tmp_path):
    path = tmp_path / "deltas00000.zip"
    path.write_bytes(b"\n<!DOCTYPE html><html>Quota exceeded</html>")
    assert "web page" in check_archive(str(path), [], full=False)
    path.write_bytes((DELTAS / path.name).read_bytes()[:60_000])
    assert "damaged or incomplete" in check_archive(str(path), [], full=False)
    write_zip(tmp_path, [b"1"])
    needed = ["delta00000.dat", "delta00001.dat", "delta00002.dat"]
    assert "lacks 2 deltas, delta00001.dat first" in check_archive(str(path), needed, full=False)


def test_a_tolerated_difference_does_not_wrap_around():
    final = np.array([0, 3, 255, 250, 200, 10, 0, 255], np.uint8)
    aligned = np.array([5, 1, 250, 254, 20, 180, 0, 255], np.uint8)
    delta = final - aligned
    off = np.array([-4, -4, 9, 6, 3, -3, 0, 0])
    other = (aligned + off).clip(0, 255).astype(np.uint8)
    assert apply_tolerantly(aligned, delta).tolist() == final.tolist()
    assert apply_tolerantly(other, delta).tolist() == [0, 2, 255, 251, 203, 7, 0, 255]


@pytest.mark.parametrize(
    ("aligned", "step", "expected"),
    [
        (250, 21, 255),  # the total 271 is 16 beyond the end of the range
        (250, 22, 16),  # 272
        (5, -21, 0),  # -16
        (5, -22, 239),  # -17
        (200, 64, 255),  # the largest step that can be too much
        (199, 65, 8),
        (55, -64, 0),
        (56, -65, 247),
    ],
)
def test_a_sample_wraps_around_unless_it_is_16_levels_beyond_the_range_at_most(
    aligned, step, expected
):
    image, delta = np.full((3, 2, 2), aligned, np.uint8), np.full((3, 2, 2), step % 256, np.uint8)
    result = apply_tolerantly(image, delta)
    assert result.dtype == np.uint8
    assert (result == expected).all()
