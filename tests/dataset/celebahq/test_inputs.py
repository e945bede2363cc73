"""The published tables are read; any other table is refused in one line."""

import shutil

import numpy as np
import pytest

from pgtf.dataset.celebahq.inputs import (
    Row,
    read_attributes,
    read_image_list,
    read_landmarks,
)

from .fixture import CELEBA, DELTAS, STAGES

HEADER = "idx orig_idx orig_file proc_md5 final_md5"
A, B = "a" * 32, "b" * 32


def test_the_list_is_read_by_column_name(tmp_path):
    (tmp_path / "image_list.txt").write_text(
        f"orig_file final_md5 idx  proc_md5 orig_idx\n000007.jpg {B} 0 {A} 6\n"
    )
    assert read_image_list(str(tmp_path)) == [Row(0, 6, "000007.jpg", A, B)]


def test_the_fixtures_list_is_that_of_its_stages():
    rows = read_image_list(str(DELTAS))
    assert [row.idx for row in rows] == list(range(8))
    assert [STAGES["images"][str(row.idx)]["final_md5"] for row in rows] == [
        row.final_md5 for row in rows
    ]


BAD_LISTS = {
    "empty": ("", "line 1: must name the columns"),
    "no header": (f"0 6 000007.jpg {A} {B}", "line 1: must name the columns"),
    "a column less": (f"idx orig_idx orig_file proc_md5\n0 6 7.jpg {A}", "without final_md5"),
    "no rows": (HEADER, "must have a row per image"),
    "duplicate idx": (
        f"{HEADER}\n0 6 000007.jpg {A} {B}\n0 7 000008.jpg {A} {B}",
        "line 3: `idx` must count up from 0",
    ),
    "gap": (f"{HEADER}\n1 6 000007.jpg {A} {B}", "Received: idx=1, not 0"),
    "short row": (f"{HEADER}\n0 6 000007.jpg", "line 2: must have 5 columns"),
    "not a number": (f"{HEADER}\n0 six 000007.jpg {A} {B}", "line 2: must have 5 columns"),
    "traversal": (f"{HEADER}\n0 6 ../../secret.jpg {A} {B}", "name of a JPEG file"),
    "not a hash": (f"{HEADER}\n0 6 000007.jpg {A} {B[1:]}", "two MD5 hashes"),
    "web page": ("<html>\nquota\n</html>", "line 1: must name the columns"),
}


@pytest.mark.parametrize(("text", "message"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_list_that_is_not_as_published_is_an_error(tmp_path, text, message):
    (tmp_path / "image_list.txt").write_text(text + "\n")
    with pytest.raises(ValueError, match=message) as error:
        read_image_list(str(tmp_path))
    assert "\n" not in str(error.value)
    assert "image_list.txt" in str(error.value)


def test_a_binary_list_is_an_error(tmp_path):
    (tmp_path / "image_list.txt").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="must be a text file"):
        read_image_list(str(tmp_path))


def test_landmarks_are_float32_points_of_each_image():
    names, landmarks = read_landmarks(str(CELEBA), 8)
    assert names[3] == "000004.jpg"
    assert landmarks.dtype == np.float32
    assert landmarks[3].tolist() == [
        [786, 1093],
        [1837, 1041],
        [1337, 1581],
        [1056, 2017],
        [1791, 1980],
    ]


def landmark_copy(tmp_path):
    """A copy of Anno -> (CelebA folder, the landmark file)."""
    shutil.copytree(CELEBA / "Anno", tmp_path / "Anno")
    return str(tmp_path), tmp_path / "Anno" / "list_landmarks_celeba.txt"


def test_a_missing_row_of_landmarks_is_an_error(tmp_path):
    folder, path = landmark_copy(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:5] + lines[6:]))
    with pytest.raises(ValueError, match="a row for each of 8 images.*Received: 7 rows"):
        read_landmarks(folder, 8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  351  203", "  351", "line 4: must have a file name and 10 numbers"),
        ("  351  203", "  351  two", "could not convert"),
        ("  351  203", "  351  nan", "must hold finite numbers"),
    ],
)
def test_a_damaged_row_of_landmarks_is_an_error(tmp_path, old, new, message):
    folder, path = landmark_copy(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_landmarks(folder, 8)


def write_attributes(folder, rows):
    """Writes Anno/list_attr_celeba.txt with two attributes."""
    lines = [
        str(len(rows)),
        "Smiling Young",
        *(f"{n + 1:06}.jpg {row}" for n, row in enumerate(rows)),
    ]
    (folder / "Anno").mkdir(exist_ok=True)
    (folder / "Anno" / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")


def test_attributes_are_0_and_1_with_their_names(tmp_path):
    write_attributes(tmp_path, ["-1  1", " 1 -1", " 1  1"])
    rows = [Row(0, 2, "000003.jpg", "", ""), Row(1, 0, "000001.jpg", "", "")]
    names, values = read_attributes(str(tmp_path), 3, rows)
    assert names == ["Smiling", "Young"]
    assert values.dtype == np.float32
    assert values.tolist() == [[1, 1], [0, 1]]


def test_attributes_of_other_photographs_are_an_error(tmp_path):
    write_attributes(tmp_path, ["-1  1", " 1 -1"])
    message = "row 1 must belong to 000077.jpg. Received: 000002.jpg"
    with pytest.raises(ValueError, match=message):
        read_attributes(str(tmp_path), 2, [Row(0, 1, "000077.jpg", "", "")])


def test_other_attributes_are_an_error(tmp_path):
    write_attributes(tmp_path, ["-1  1", " 0 -1"])
    with pytest.raises(ValueError, match="must be 1 or -1"):
        read_attributes(str(tmp_path), 2, [])
