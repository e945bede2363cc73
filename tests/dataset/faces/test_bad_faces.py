"""create_faces on photographs and landmarks that it refuses, or converts on request."""

import json
import re

import numpy as np
import PIL.Image
import pytest

from tests.dataset.faces.test_create_faces import images_of, run

LEFT_EYE, RIGHT_EYE = [40, 50], [80, 50]
GOOD = [LEFT_EYE, RIGHT_EYE, [60, 65], [48, 85], [72, 85]]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (None, "no landmarks in .*points.json"),
        ([LEFT_EYE, [300, 50], *GOOD[2:]], "right eye lies outside the photograph, 200x160"),
        ([[-1, 50], RIGHT_EYE, *GOOD[2:]], "left eye lies outside"),
        ([RIGHT_EYE, LEFT_EYE, GOOD[2], GOOD[4], GOOD[3]], "mirrored: .* Swap left and right"),
        ([RIGHT_EYE, LEFT_EYE, *GOOD[2:]], "mirrored"),
        ([*GOOD[:3], GOOD[4], GOOD[3]], "mirrored"),
        ([[60, 60]] * 5, "span no face"),
        ([[20, 60], [100, 60], [60, 60], [50, 60], [70, 60]], "span no face"),
        ((np.array(GOOD) / 10 + 50).tolist(), "too small: .* at least 32 pixels .* Received: 16"),
        ([[1, 2], [3, 4]], "must have x and y of 5 points"),
        (["left", 1, 2, 3, 4, 5, 6, 7, 8, 9], "must have x and y of 5 points"),
        ([*GOOD[:4], [float("nan"), 85]], "must have x and y of 5 points"),
        ([*GOOD[:4], [1e300, 85]], "must have x and y of 5 points"),
    ],
)
def test_bad_landmarks_are_one_line(tmp_path, capsys, points, message):
    check_one_line(tmp_path, capsys, PIL.Image.new("RGB", (200, 160)), points, message)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("L", "is gray, .*--gray=convert"),
        ("LA", "is transparent; --alpha="),
        ("RGBA", "is transparent; --alpha="),
        ("P", "is transparent; --alpha="),
    ],
)
def test_gray_and_transparent_photographs_are_one_line(tmp_path, capsys, mode, message):
    picture = PIL.Image.new("LA" if mode == "LA" else "RGBA" if mode != "L" else "L", (200, 160))
    check_one_line(tmp_path, capsys, picture.convert(mode), GOOD, message)


def test_damaged_photographs_are_one_line(tmp_path, capsys):
    check_one_line(tmp_path, capsys, b"\x89PNG, but no more", GOOD, "not an image")
    assert not list(tmp_path.glob("*.partial"))


def check_one_line(tmp_path, capsys, picture, points, message):
    """Checks that a bad photograph beside a good one ends the job or, if allowed, is listed."""
    (tmp_path / "photos").mkdir()
    PIL.Image.new("RGB", (200, 160)).save(tmp_path / "photos" / "good.png")
    bad = tmp_path / "photos" / "bad.png"
    bad.write_bytes(picture) if isinstance(picture, bytes) else picture.save(bad)
    table = {"good.png": GOOD} | ({"bad.png": points} if points else {})
    (tmp_path / "points.json").write_text(json.dumps(table))
    args = tmp_path / "photos", tmp_path / "points.json", "--resolution=256"
    assert run(tmp_path / "faces", *args) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert lines[-1] == line
    assert "bad.png" in line
    assert re.search(message, line), line
    assert not (tmp_path / "faces").exists()
    if "must have x and y" not in message:  # a damaged table is never passed over
        assert run(tmp_path / "faces", *args, "--max_errors=1") == 0
        assert "Rejected, 1 in all" in capsys.readouterr().out


HEADER = "file" + ",x" * 10 + "\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "must have a header and rows of the same length"),
        ("a.csv", "good.png,1,2,3,4,5,6,7,8,9,10\n", "must have a header and rows"),
        ("a.csv", 2 * "good.png,1,2,3,4,5,6,7,8,9,10\n", "must have a header. Received: a row"),
        ("a.csv", "f,a,b\ngood.png,1,2\n", "Received: 3 columns"),
        ("a.json", "{", "not JSON"),
        ("a.json", 100_000 * "[", "a.json: not JSON (nested too deeply)"),
        ("a.json", json.dumps({"good.png": [10**400, *range(9)]}), "a.json: good.png: must have x"),
        ("a.json", json.dumps({"good.png": [[[[1]]]]}), "Received: [[[[1]]]]."),
        ("a.json", json.dumps({"good.png": [{"x": 1}]}), "a.json: good.png: must have x and y"),
        ("a.json", json.dumps({"good.png": 10_000 * [7]}), "Received: [7, 7, 7, 7"),
        ("a.json", "[1, 2]", "must be {file: points}"),
        ("a.txt", "hello\nworld\n", "CelebA's text"),
        ("a.txt", "3\nheader\ngood.png 1 2 3 4 5 6 7 8 9 10\n", "must be the number of rows, 1"),
        ("a.json", '{"other.png": [1,2,3,4,5,6,7,8,9,10]}', "none of 1 photographs"),
        ("a.json", json.dumps([["good.png", GOOD], ["good.png", GOOD]]), "the same face"),
        ("a.csv", b"\xff\xfe\x00", "not a CSV file in UTF-8"),
        (
            "a.csv",
            HEADER + "good.png," + 200_000 * "1",
            "not a CSV file in UTF-8 (field larger than",
        ),
        ("a.csv", HEADER + "good.png" + ",nan" * 10, "a.csv line 2: good.png: must have x and y"),
        ("a.csv", HEADER + "good.png" + ",1e999" * 10, "a.csv line 2: good.png: must have x"),
        (
            "a.txt",
            5000 * "9" + "\nx\ngood.png 1 2\n",
            "a.txt line 1: must be the number of rows, 1",
        ),
    ],
)
def test_damaged_tables_are_one_line(tmp_path, capsys, name, content, message):
    (tmp_path / "photos").mkdir()
    PIL.Image.new("RGB", (200, 160)).save(tmp_path / "photos" / "good.png")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(tmp_path / "faces", tmp_path / "photos", tmp_path / name) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / name) in line
    assert message in line


def test_gray_and_transparent_photographs_are_converted_on_request(tmp_path):
    (tmp_path / "photos").mkdir()
    PIL.Image.new("L", (200, 160), 90).save(tmp_path / "photos" / "gray.png")
    PIL.Image.new("RGBA", (200, 160), (9, 9, 9, 0)).save(tmp_path / "photos" / "clear.png")
    table = {"gray.png": GOOD, "clear.png": GOOD}
    (tmp_path / "points.json").write_text(json.dumps(table))
    flags = "--resolution=64", "--gray=convert", "--alpha=white"
    assert run(tmp_path / "faces", tmp_path / "photos", tmp_path / "points.json", *flags) == 0
    assert {int(image.mean()) for image in images_of(tmp_path / "faces")} == {90, 255}
