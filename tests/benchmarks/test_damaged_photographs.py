"""Damaged photographs: a slice of benchmarks.damaged_photographs, and its judges."""

import io
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest

from benchmarks import photograph_exif
from benchmarks.damaged_photographs import (
    Result,
    broken_claims,
    exif_table,
    jpeg_table,
    results,
    upright,
)
from benchmarks.libjpeg import Judge, encode
from benchmarks.photograph_cases import AROUND, exif_cases, jpeg_cases
from benchmarks.photograph_damage import DAMAGES
from benchmarks.photograph_exif import MUTATIONS, orientation_of
from benchmarks.photograph_files import XMP_TEXT, jpeg, photograph, picture, with_metadata
from pgtf.foreign import pictures
from tests.fuzz.children import ACCEPTED, REFUSED, Outcome

QUICK_EXIFS, QUICK_JPEGS = 160, 152  # eight of each kind of damage
MANY = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def check_exifs(count, seed):
    found = list(results(exif_cases(count, seed), is_exif=True))
    assert broken_claims(found, is_exif=True) == []
    good = [x for x in found if not x.is_bad]
    assert len(good) > 0.95 * count
    assert {x.case.orientation for x in good} == set(range(1, 9))
    assert {x.case.damage for x in good} == {*MUTATIONS, *AROUND}
    assert {x.case.photo.kind for x in good} <= set(pictures.formats())
    last = exif_table(found)[-1]
    assert last == f"| all | {count} | {len(good)} | {len(good)} | 0 | 0 |"


def check_jpegs(count, seed):
    found = list(results(jpeg_cases(count, seed), is_exif=False))
    assert broken_claims(found, is_exif=False) == []
    bad = [x for x in found if x.is_bad]
    assert len(bad) > 0.7 * count
    assert {x.case.damage for x in found} == set(DAMAGES)
    assert sum("damaged" in x.outcome.message for x in bad) > 0.95 * len(bad)
    assert jpeg_table(found)[-1].startswith(f"| all | {count} | {len(bad)} | {len(bad)} |")
    assert all(x.is_bad for x in found if x.case.damage in ("cut off", "end marker missing"))
    assert all(x.verdict == ACCEPTED for x in found if x.case.damage == "bytes after the end")


def test_good_pictures_are_accepted_upright_whatever_their_exif_data_are():
    check_exifs(QUICK_EXIFS, seed=1)


def test_each_jpeg_file_that_libjpeg_warns_about_is_refused():
    check_jpegs(QUICK_JPEGS, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_the_same_holds_for_many_photographs(seed):
    check_exifs(MANY, seed)
    check_jpegs(MANY, seed)


def test_the_judge_decodes_as_pillow_and_hears_every_warning(rng):
    with Judge() as judge:
        for _ in range(12):
            photo = jpeg(rng, 32)
            found = judge(photo.content)
            assert found.is_clean
            with PIL.Image.open(io.BytesIO(photo.content)) as image:
                pixels = np.asarray(image)
            stored = 255 - pixels if image.mode == "CMYK" else pixels
            assert found.checksum == zlib.crc32(stored.tobytes())
            assert "Premature end of JPEG file" in judge(photo.content[:-2]).warnings
            assert judge(photo.content[:2] + photo.content).failure == (
                "Invalid JPEG file structure: two SOI markers"
            )
        assert judge(b"hello").failure == "Not a JPEG file: starts with 0x68 0x65"
        content = encode(np.asarray(picture(0, 32)), arithmetic=True, progressive=True)
        place = content.index(b"\xff\xda") - 2
        assert "extraneous bytes before marker" in " ".join(
            judge(content[:place] + bytes(9) + content[place:]).warnings
        )


def test_the_reader_of_orientations_agrees_with_pillow_about_whole_data(rng):
    for number in range(64):
        block = photograph_exif.whole(rng, number % 8 + 1)
        exif = PIL.Image.Exif()
        exif.load(b"Exif\0\0" + block.content)
        assert exif[274] == orientation_of(block.content) == number % 8 + 1
        assert exif.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0good"
        assert exif.get_ifd(PIL.ExifTags.IFD.IFD1)[274] != exif[274]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
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
def test_a_broken_claim_is_told(is_exif):
    cases = exif_cases(1, 0) if is_exif else jpeg_cases(1, 0)
    case = next(cases)
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
