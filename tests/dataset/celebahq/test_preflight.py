"""Problems of the inputs that are found before hours of work."""

import re

import numpy as np
import pytest

from pgtf.dataset.celebahq.maker import Maker
from pgtf.dataset.celebahq.preflight import (
    check_inputs,
    disk_space,
    pictures_space,
    seconds_per_image,
)

from .fixture import CELEBA, DELTAS, EXPECTED, ROWS, copy, write_list


def test_the_fixture_has_no_problems():
    found = check_inputs(str(CELEBA), str(DELTAS), **EXPECTED, check="full")
    assert found.problems == []
    assert found.rows == ROWS
    assert found.landmarks.shape == (8, 5, 2)


def remove_photograph(celeba, deltas):
    (celeba / "img_celeba" / "000007.jpg").unlink()


def align_first(celeba, deltas):
    first = celeba / "img_celeba" / "000001.jpg"
    first.write_bytes((celeba / "img_celeba" / "000002.jpg").read_bytes())


def truncate_first(celeba, deltas):
    first = celeba / "img_celeba" / "000001.jpg"
    first.write_bytes(first.read_bytes()[:9000])


def remove_archive(celeba, deltas):
    (deltas / "deltas00000.zip").unlink()


def web_page(celeba, deltas):
    (deltas / "deltas00000.zip").write_text("<!DOCTYPE html><title>Quota exceeded</title>")


def half_archive(celeba, deltas):
    path = deltas / "deltas00000.zip"
    path.write_bytes(path.read_bytes()[:50_000])


def one_archive_more(celeba, deltas):
    (deltas / "deltas01000.zip").write_bytes((deltas / "deltas00000.zip").read_bytes())


def other_landmarks(celeba, deltas):
    path = celeba / "Anno" / "list_landmarks_celeba.txt"
    path.write_text(path.read_text().replace("000007.jpg", "000077.jpg"))


def long_name(celeba, deltas):
    path = celeba / "Anno" / "list_landmarks_celeba.txt"
    path.write_text(path.read_text().replace("000007.jpg", f"{'x' * 2000}.jpg"))


PROBLEMS = {
    remove_photograph: [
        "must hold 8 JPEG files .* but it holds 7",
        "lacks 1 of the files needed, 000007.jpg first",
    ],
    align_first: ["000001.jpg must be the original file .* MD5 a97c84c2b6fb38911c7fb29a70df17ae"],
    truncate_first: ["000001.jpg: the JPEG file is truncated"],
    remove_archive: [
        "must hold 1 files delta\\*.zip, but it holds 0",
        "deltas00000.zip is missing",
    ],
    web_page: ["deltas00000.zip is a web page"],
    half_archive: ["deltas00000.zip is damaged or incomplete"],
    one_archive_more: ["must hold 1 files delta\\*.zip, but it holds 2"],
    other_landmarks: ["landmarks 6 must belong to 000007.jpg, but they belong to 000077.jpg"],
    long_name: [r"landmarks 6 must belong to 000007.jpg, but they belong to 'x{80}'\.\.\.$"],
}


@pytest.mark.parametrize("spoil", PROBLEMS, ids=lambda spoil: spoil.__name__)
def test_each_problem_is_named_in_one_line(tmp_path, spoil):
    celeba, deltas = copy(tmp_path)
    spoil(celeba, deltas)
    problems = check_inputs(str(celeba), str(deltas), **EXPECTED).problems
    assert len(problems) == len(PROBLEMS[spoil])
    for problem, pattern in zip(problems, PROBLEMS[spoil], strict=True):
        assert "\n" not in problem
        assert re.search(pattern, problem)


@pytest.mark.parametrize("number", ["8", "-1"])
def test_a_list_beyond_the_landmarks_cannot_be_used_at_all(tmp_path, number):
    celeba, deltas = copy(tmp_path)
    path = deltas / "image_list.txt"
    path.write_text(path.read_text().replace("7        3  ", f"7        {number}  "))
    with pytest.raises(ValueError, match=f"image_list.txt, idx 7: there are no landmarks {number}"):
        check_inputs(str(celeba), str(deltas), **EXPECTED)


def test_tables_may_begin_with_a_byte_order_mark(tmp_path):
    celeba, deltas = copy(tmp_path)
    for path in (celeba / "Anno" / "list_landmarks_celeba.txt", deltas / "image_list.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert check_inputs(str(celeba), str(deltas), **EXPECTED).rows == ROWS


def test_pictures_need_space_too(tmp_path):
    needed, free, is_shared = pictures_space(30_000, str(tmp_path / "a"), str(tmp_path / "b"))
    assert needed == pytest.approx(30_000 * 1.5 * 1024**2)
    assert free > 0
    assert is_shared


def test_a_full_check_finds_a_flipped_byte(tmp_path):
    celeba, deltas = copy(tmp_path)
    data = bytearray((deltas / "deltas00000.zip").read_bytes())
    data[70_000] ^= 255
    (deltas / "deltas00000.zip").write_bytes(data)
    quick = check_inputs(str(celeba), str(deltas), **EXPECTED)
    full = check_inputs(str(celeba), str(deltas), **EXPECTED, check="full")
    assert quick.problems == []
    assert len(full.problems) == 1
    assert full.problems[0].endswith("deltas00000.zip: delta00004.dat is damaged")


def test_missing_folders_are_os_errors(tmp_path):
    with pytest.raises(OSError, match="image_list.txt"):
        check_inputs(str(CELEBA), str(tmp_path), **EXPECTED)
    with pytest.raises(OSError, match="list_landmarks_celeba.txt"):
        check_inputs(str(tmp_path), str(DELTAS), **EXPECTED)


def test_the_space_is_that_of_all_levels(tmp_path):
    needed, free = disk_space(30_000, 1024, str(tmp_path / "not" / "yet"))
    assert needed == pytest.approx(30_000 * 4 * 1024**2, rel=1e-3)  # 3 channels * 4/3
    assert disk_space(8, 4, str(tmp_path))[0] == 8 * (784 // 8)
    assert free > 0


def test_the_time_is_measured_on_a_few_images(tmp_path, monkeypatch):
    celeba, deltas = copy(tmp_path)
    write_list(deltas, ROWS)
    made = []
    monkeypatch.setattr(Maker, "make", lambda self, item: made.append(item))
    found = check_inputs(str(celeba), str(deltas), **EXPECTED)
    seconds = seconds_per_image(Maker(str(celeba), str(deltas)), found)
    assert len(made) == 1
    assert 0 <= seconds < 1
    assert made[0].landmarks.dtype == np.float32
