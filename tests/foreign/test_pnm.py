"""PBM, PGM and PPM as text: the pixels that Pillow decodes, in less time."""

import time

import numpy as np
import PIL.Image
import pytest

from pgtf.foreign.pictures import open_picture

RNG = np.random.default_rng(0)


def text(kind, shape, highest):
    values = RNG.integers(0, highest + 1, shape)
    height, width = shape[:2]
    end = b"" if kind == 1 else b" %d" % highest
    numbers = b" ".join(b"%d" % value for value in values.ravel())
    return b"P%d %d %d%b\n" % (kind, width, height, end) + numbers


FILES = {
    "bits": text(1, (5, 11), 1),
    "bits without blanks": b"P1\n3 2\n101010",
    "gray": text(2, (5, 7), 255),
    "gray of 100 levels": text(2, (5, 7), 100),
    "gray of 16 bits": text(2, (5, 7), 65535),
    "gray of 12 bits": text(2, (5, 7), 4095),
    "colors": text(3, (5, 7, 3), 255),
    "colors of 15 levels": text(3, (5, 7, 3), 15),
    "many colors": text(3, (300, 300, 3), 255),
    "comments": b"P2 # a\n2 #b\r2\n9 1\n#c\n2 3#d\n 4",
    "more than the image": b"P2 2 1 9 1 2 3 4 5",
}


@pytest.mark.parametrize("what", FILES)
def test_pixels_are_those_that_pillow_decodes(what, tmp_path):
    (tmp_path / "a.ppm").write_bytes(FILES[what])
    with open_picture(tmp_path / "a.ppm") as found, PIL.Image.open(tmp_path / "a.ppm") as expected:
        found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P2 2 2 9 1 2 3", "ends before its image"),
        (b"P2 2 2 9 1 2 3 10", "a value is not 0 to 9"),
        (b"P2 2 2 9 1 2 3 -1", "a value is not 0 to 9"),
        (b"P2 2 2 9 1 2 3 x", "a value is not a number"),
        (b"P2 2 2 9 1.5 2 3 4", "a value is not a number"),
        (b"P2 2 2 9 " + b"9" * 50 + b" 1 1 1", "a value is not 0 to 9"),
        (b"P3 100000 100000 9 1", "must have at most"),
        (b"P3 5000 5000 9 1", "ends before its image"),
        (b"P1 2 2 1 1 1 2", "a value is not 0 or 1"),
        (b"P1 2 2 111", "ends before its image"),
        (b"P6 #" + b"x" * (1 << 20) + b"\n1 1 255\nabc", "its header has more than 64 KiB"),
        (b"P6" + b" " * (1 << 20) + b"1 1 255\nabc", "its header has more than 64 KiB"),
    ],
)
def test_damage_is_a_few_words(content, message, tmp_path):
    (tmp_path / "a.ppm").write_bytes(content)
    with pytest.raises(ValueError, match=message), open_picture(tmp_path / "a.ppm") as picture:
        picture.load()


def test_comments_and_values_take_no_minutes(tmp_path):
    side = 1000
    content = b"P1 %d %d\n" % (side, side) + b"#\n1" * side**2
    rows = b"P3 %d %d 255\n" % (side, side) + b"1 2 3\n" * side**2
    for number, each in enumerate((content, rows)):
        (tmp_path / f"{number}.ppm").write_bytes(each)
        before = time.process_time()
        with open_picture(tmp_path / f"{number}.ppm") as picture:
            picture.load()
        assert time.process_time() - before < 2
        assert picture.size == (side, side)
