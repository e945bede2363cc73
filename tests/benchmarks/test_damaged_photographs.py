"""Damaged photographs: a slice of benchmarks.damaged_photographs, and its judges."""

import io
import pathlib
import subprocess
import sys

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest

from benchmarks import photograph_exif
from benchmarks.damaged_photographs import Result, broken_claims, upright
from benchmarks.photograph_cases import AROUND, Case
from benchmarks.photograph_damage import DAMAGES
from benchmarks.photograph_exif import MUTATIONS, orientation_of
from benchmarks.photograph_files import XMP_TEXT, photograph, picture, with_metadata
from tests.fuzz.children import ACCEPTED, REFUSED, Outcome

ROOT = pathlib.Path(__file__).parents[2]
QUICK_EXIFS, QUICK_JPEGS = 120, 114  # six of each kind of damage
MANY = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def python(*arguments):
    """Runs Python: children are not forked here, where TensorFlow may have started threads."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def rows(table):
    """{first cell: numbers} of a Markdown table."""
    cells = [[x.strip(" %") for x in line.strip("|").split("|")] for line in table.splitlines()]
    return {name: [float(x) for x in numbers] for name, *numbers in cells[2:]}


def check(exifs, jpegs, seed):
    done = python(
        *("-m", "benchmarks.damaged_photographs"),
        *(f"--exifs={exifs}", f"--jpegs={jpegs}", f"--seed={seed}"),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    _, of_exifs, of_jpegs, broken = done.stdout.split("\n\n")
    assert broken.strip() == ""
    found = rows(of_exifs)
    num_files, num_good, *rest = found.pop("all")
    assert rest == [num_good, 0, 0]
    assert num_files == exifs
    assert num_good > 0.95 * exifs
    assert found.keys() == {*MUTATIONS, *AROUND}
    found = rows(of_jpegs)
    num_files, num_bad, num_refused, same, other, _ = found.pop("all")
    assert num_files == jpegs
    assert 0.7 * jpegs < num_bad == num_refused
    assert 100 * num_bad / jpegs + same + other == pytest.approx(100, abs=0.2)
    assert found.keys() == set(DAMAGES)
    assert found["cut off"][3:] == found["end marker missing"][3:] == [0, 0, 0]
    assert found["bytes after the end"][1:] == [0, 0, 100, 0, 0]


def test_good_pictures_are_accepted_upright_and_damaged_ones_refused():
    check(QUICK_EXIFS, QUICK_JPEGS, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_the_same_holds_for_many_photographs(seed):
    check(MANY, MANY, seed)


JUDGED = """
from benchmarks.libjpeg import Judge
from benchmarks.photograph_files import _encoded, picture
photo = _encoded(picture(0, 32), "JPEG")
content = photo.content
tables = content.index(bytes([255, 0xC4]))
with Judge() as judge:
    assert judge(content) == ([], None, photo.checksum)
    assert judge(content[:-2]) == (["Premature end of JPEG file"], None, photo.checksum)
    assert judge(content[:2] + content).failure == "Invalid JPEG file structure: two SOI markers"
    assert judge(b"hello").failure == "Not a JPEG file: starts with 0x68 0x65"
    found = judge(content[:tables] + bytes(9) + content[tables:])
    line = "Corrupt JPEG data: 9 extraneous bytes before marker 0xc4"
    assert found == ([line], None, photo.checksum)
"""


def test_the_judge_hears_every_warning():
    done = python("-c", JUDGED)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_reader_of_orientations_agrees_with_pillow_about_whole_data(rng):
    for number in range(64):
        block = photograph_exif.whole(rng, number % 8 + 1)
        exif = PIL.Image.Exif()
        exif.load(b"Exif\0\0" + block.content)
        assert exif[274] == orientation_of(block.content) == number % 8 + 1
        assert exif.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0good"
        assert exif.get_ifd(PIL.ExifTags.IFD.IFD1)[274] != exif[274]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_whole_metadata_are_found_by_pillow(kind, rng):
    photo = photograph(rng, kind, 32)
    block = photograph_exif.whole(rng, 7)
    with PIL.Image.open(io.BytesIO(with_metadata(photo, block.content, xmp=3))) as image:
        assert image.getexif()[274] == 7
        xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
        assert xmp == XMP_TEXT.format(3).encode()


def test_pictures_are_turned_as_by_pillow():
    image = picture(0, 16).resize((16, 12))
    for orientation in range(1, 9):
        exif = PIL.Image.Exif()
        exif[274] = orientation
        buffer = io.BytesIO()
        image.save(buffer, "PNG", exif=exif)
        with PIL.Image.open(buffer) as file:
            expected = np.asarray(PIL.ImageOps.exif_transpose(file))
        found = upright(np.asarray(image).transpose(2, 0, 1), orientation)
        np.testing.assert_array_equal(found.transpose(1, 2, 0), expected)


@pytest.mark.parametrize("is_exif", [True, False])
def test_a_broken_claim_is_told(is_exif, rng):
    case = Case("some damage", photograph(rng, "PNG", 16), b"")
    accepted, refused = Outcome(ACCEPTED), Outcome(REFUSED, "x.jpg: damaged")
    wrong = [
        Result(case, False, refused),
        Result(case, False, Outcome("raises TypeError")),
        Result(case, True, Outcome("hangs")),
        Result(case, True, accepted, 0.5, 0.5),
    ]
    wrong += [Result(case, False, accepted, 0.5)] if is_exif else [Result(case, True, accepted)]
    right = [Result(case, True, refused), Result(case, False, accepted)]
    for result in wrong:
        (line,) = broken_claims([*right, result], is_exif)
        assert case.damage in line
    assert broken_claims(right, is_exif) == []
