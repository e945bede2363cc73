"""JPEG files: the same pixels as Pillow's, and none that libjpeg only guesses."""

import io
import pathlib
import re
import struct
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import simplejpeg

from benchmarks import photograph_files
from pgtf.dataset.faces.photographs import read_photograph
from pgtf.dataset.sources import lsun
from pgtf.dataset.sources.image_folder import Fitting, open_image_folder
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import jpeg, pictures
from pgtf.foreign.jpeg import WholeJpeg, decode_jpeg

ROOT = pathlib.Path(__file__).parents[2]
RNG = np.random.default_rng(0)


def encoded(mode="RGB", size=(33, 65), **options):
    colors = RNG.integers(0, 256, (6, 6, 4)).astype(np.uint8)
    image = PIL.Image.frombytes("CMYK", (6, 6), colors.tobytes())
    image = image.resize(size, PIL.Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_pillow(content):
    with PIL.Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def by_us(path, content):
    path.write_bytes(content)
    with pictures.open_picture(path) as image:
        assert isinstance(image, WholeJpeg)
        return np.asarray(image)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("restart", [0, 3])
def test_pixels_are_those_of_pillow(mode, subsampling, progressive, restart, tmp_path):
    options = {"progressive": progressive, "restart_marker_blocks": restart}
    if mode != "L":
        options["subsampling"] = subsampling
    for size in ((1, 1), (7, 9), (33, 65)):
        for quality in (30, 95):
            content = encoded(mode, size, quality=quality, **options)
            np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(content))
            assert (decode_jpeg(content, mode) is None) == (
                mode == "CMYK" and subsampling != "4:4:4"  # left to Pillow
            )


def test_colors_stored_as_rgb_and_adobe_cmyk_are_those_of_pillow(tmp_path):
    for content in (
        encoded(keep_rgb=True),
        encoded("CMYK", quality=90)[:2] + ADOBE_YCCK + encoded("CMYK", quality=90)[2:],
    ):
        np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(content))


ADOBE_YCCK = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02"


RARE = """
import sys
import numpy as np
from benchmarks.libjpeg import encode
from benchmarks.photograph_files import picture
pixels = np.asarray(picture(0, 128))
found = [encode(pixels, sampling=[(1, 1), (2, 2), (1, 1)])]
found.append(encode(pixels, arithmetic=True, progressive=True))
sys.stdout.buffer.write(b"".join(len(x).to_bytes(4, "big") + x for x in found))
"""


@pytest.fixture(scope="module")
def rare():
    """A subsampling that few decoders know, and arithmetic codes; libjpeg may end the process."""
    done = subprocess.run([sys.executable, "-c", RARE], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip(done.stderr.decode().splitlines()[-1])
    size = int.from_bytes(done.stdout[:4], "big")
    return {"sampling": done.stdout[4:][:size], "arithmetic": done.stdout[8:][size:]}


def test_a_subsampling_that_only_pillow_knows_is_left_to_it(rare, tmp_path):
    content = rare["sampling"]
    assert decode_jpeg(content, "RGB") is None
    np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(content))


SMOOTH = encoded(size=(128, 128), quality=95)
ORIENTATION_6 = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 274, 3, 1, 6, 0) + bytes(4)
SCAN = SMOOTH.index(b"\xff\xda") + 14
MIDDLE = (SCAN + len(SMOOTH)) // 2
NOISE = bytes([0x55]) * 200
DAMAGED = {
    "overwritten": (SMOOTH[:MIDDLE] + NOISE + SMOOTH[MIDDLE + 200 :], "extraneous|bad|premature"),
    "foreign": (SMOOTH[:MIDDLE] + b"\xff\x5b" + SMOOTH[MIDDLE + 2 :], "marker"),
    "end": (SMOOTH[:MIDDLE] + b"\xff\xd9", "premature end of data segment"),
    "cut": (SMOOTH[:MIDDLE], "Premature end|premature end|truncated"),
    "left over": (SMOOTH[:-2] + bytes(99) + SMOOTH[-2:], "99|9. extraneous bytes before marker"),
    "marker": (SMOOTH[:MIDDLE] + b"\xff\xd5" + SMOOTH[MIDDLE + 2 :], "marker|extraneous|premature"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_refused_by_every_reader(kind, tmp_path):
    pytest.importorskip("cv2")
    content, message = DAMAGED[kind]
    path = tmp_path / "in" / "x.jpg"
    path.parent.mkdir()
    path.write_bytes(content)
    readers = {
        "strict": lambda: read_picture(str(path), Conversion(3, 128)),
        "converted": lambda: read_picture(str(path), Conversion(1, 8, "resize", strict=False)),
        "faces": lambda: read_photograph(str(path), "error"),
        "lsun": lambda: lsun.decode(content, 32),
        "folder": lambda: open_image_folder(str(path.parent), Fitting()).read(0, 1),
    }
    for name, reader in readers.items():
        try:
            reader()
            found = "accepted"
        except ValueError as error:
            found = str(error)
        assert re.search(f"damaged JPEG data .*({message})", found), (name, found)


def test_what_libjpeg_warns_about_without_damage_is_accepted(tmp_path):
    """Another version of JFIF, and scan headers that some cameras leave empty."""
    version = SMOOTH.index(b"JFIF\0") + 5
    spectrum = SCAN - 3
    assert SMOOTH[spectrum:SCAN] == b"\0\x3f\0"
    for at, odd in ((version, b"\7\7"), (spectrum, b"\0\0\0")):
        content = SMOOTH[:at] + odd + SMOOTH[at + len(odd) :]
        with pytest.raises(ValueError, match="JFIF revision|Invalid SOS"):
            simplejpeg.decode_jpeg(content, strict=True)
        np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(SMOOTH))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_lsun_gets_the_pixels_of_opencv_as_before(mode, subsampling):
    cv2 = pytest.importorskip("cv2")
    options = {} if mode == "L" else {"subsampling": subsampling}
    content = encoded(mode, (64, 64), quality=80, **options)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(lsun.decode(content, 64), expected.transpose(2, 0, 1))


def test_lsun_turns_pictures_and_reads_cmyk_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    exif = PIL.Image.Exif()
    exif[274] = 6
    for content in (encoded(size=(64, 64), exif=exif), encoded("CMYK", (64, 64))):
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        np.testing.assert_array_equal(lsun.decode(content, 64), expected.transpose(2, 0, 1))


def test_pillow_decodes_where_simplejpeg_is_not_installed(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "simplejpeg", None)
    jpeg._simplejpeg.cache_clear()
    for _ in range(2):
        np.testing.assert_array_equal(by_us(tmp_path / "x", SMOOTH), by_pillow(SMOOTH))
    assert len(caplog.messages) == 1
    assert "pip install simplejpeg" in caplog.messages[0]
    monkeypatch.undo()
    jpeg._simplejpeg.cache_clear()


CMYK = encoded("CMYK", (64, 64), subsampling=2)
CMYK_PROGRESSIVE = encoded("CMYK", (64, 64), subsampling=2, progressive=True)


@pytest.mark.parametrize("content", [CMYK, CMYK_PROGRESSIVE, None])
def test_damage_is_found_in_what_only_pillow_decodes(content, request, tmp_path):
    content = content or request.getfixturevalue("rare")["sampling"]
    np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(content))
    place = (content.rindex(b"\xff\xda") + len(content)) // 2
    damaged = content[:place] + b"\xff\xd9"
    by_pillow(damaged)  # without an error
    with pytest.raises(ValueError, match="damaged JPEG data .premature end of data segment"):
        by_us(tmp_path / "x", damaged)
    with pytest.raises(ValueError, match="damaged JPEG data"):
        lsun.decode(damaged, 64)


def test_damage_in_arithmetic_codes_is_found(rare, tmp_path):
    """libjpeg says "bad arithmetic code", and "arithmetic coding is not implemented" elsewhere."""
    content = rare["arithmetic"]
    np.testing.assert_array_equal(by_us(tmp_path / "x", content), by_pillow(content))
    errors = []
    for place in range(content.index(b"\xff\xda") + 20, len(content) - 60, 40):
        damaged = content[:place] + bytes(range(1, 31)) + content[place + 30 :]
        try:
            simplejpeg.decode_jpeg(damaged, strict=True)
        except ValueError as error:
            errors.append(str(error))
            with pytest.raises(ValueError, match="damaged JPEG data"):
                by_us(tmp_path / "x", damaged)
    assert "Corrupt JPEG data: bad arithmetic code" in errors


def test_bytes_between_segments_are_damage_unless_they_are_metadata(tmp_path):
    exif = SMOOTH[:2] + b"\xff\xe1\0\x0aExif\0\0II and more" + SMOOTH[2:]
    np.testing.assert_array_equal(by_us(tmp_path / "x", exif), by_pillow(SMOOTH))
    tables = SMOOTH.index(b"\xff\xc0")
    for more in (b"\0", b"\xff\0", b"and more"):
        damaged = SMOOTH[:tables] + more + SMOOTH[tables:]
        with pytest.raises(ValueError, match="extraneous bytes"):
            simplejpeg.decode_jpeg(damaged, strict=True)
        with pytest.raises(ValueError, match=f"data .{len(more)} extraneous bytes in its header"):
            by_us(tmp_path / "x", damaged)
    filled = SMOOTH[:tables] + b"\xff\xff" + SMOOTH[tables:]  # as the standard allows
    np.testing.assert_array_equal(by_us(tmp_path / "x", filled), by_pillow(SMOOTH))


def test_a_thumbnail_that_a_wrong_length_lays_open_is_not_taken_for_the_picture(tmp_path):
    thumbnail = encoded(size=(16, 16))
    body = b"Exif\0\0" + ORIENTATION_6 + thumbnail
    start = 2 + len(body) - len(thumbnail)  # The length counts its own two bytes.
    messages = {start: "another file begins", start + 4: "16 extraneous bytes"}
    for length, message in messages.items():
        segment = b"\xff\xe1" + struct.pack(">H", length) + body
        with pytest.raises(ValueError, match=f"damaged JPEG data .{message} in its header"):
            by_us(tmp_path / "x", SMOOTH[:2] + segment + SMOOTH[2:])
    whole = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    np.testing.assert_array_equal(
        by_us(tmp_path / "x", SMOOTH[:2] + whole + SMOOTH[2:]), by_pillow(SMOOTH)
    )
    # Pictures for other purposes follow the first one, each as a file of its own.
    several = SMOOTH[:2] + b"\xff\xe1\0\x0aExif\0\0II and more" + SMOOTH[2:] + thumbnail
    np.testing.assert_array_equal(by_us(tmp_path / "x", several), by_pillow(SMOOTH))


def test_what_the_system_says_beside_libjpeg_is_no_damage(tmp_path, monkeypatch):
    """The loader complains about a library that is not there, for every process."""
    monkeypatch.setenv("LD_PRELOAD", "/gone.so")
    np.testing.assert_array_equal(by_us(tmp_path / "x", CMYK), by_pillow(CMYK))
    with pytest.raises(ValueError, match="damaged JPEG data .premature end of data segment"):
        by_us(tmp_path / "x", CMYK[: len(CMYK) - 300] + b"\xff\xd9")


@pytest.mark.parametrize("first", [(0, 3, 1), (9, 3, 1), (6, 3, 2), (6, 2, 1)])
def test_the_first_orientation_of_a_tiff_file_that_can_be_one_counts(first, tmp_path):
    pixels = RNG.integers(0, 256, (1, 8, 8)).astype(np.uint8)
    value, kind, count = first
    records = [
        struct.pack("<HHIHH", 274, kind, count, value, 0),
        struct.pack("<HHIHH", 274, 3, 1, 6, 0),
    ]
    (tmp_path / "x.tif").write_bytes(photograph_files.tiff("<", pixels, records))
    found = read_picture(str(tmp_path / "x.tif"), Conversion(1, 8))
    np.testing.assert_array_equal(found, np.rot90(pixels, -1, (1, 2)))


def test_an_odd_value_beside_the_orientation_of_a_tiff_file_does_no_harm(tmp_path):
    from tests.foreign.tiffs import tiff

    pixels = RNG.integers(0, 256, (8, 8)).astype(np.uint8)
    more = [
        (274, 3, 1, struct.pack("<HH", 6, 0)),
        (0x11A, 2, 4, b"72\0\0"),
        (0x8769, 2, 4, b"ab\0\0"),
    ]
    (tmp_path / "x.tif").write_bytes(tiff(pixels, more=more))
    found = read_picture(str(tmp_path / "x.tif"), Conversion(1, 8))
    np.testing.assert_array_equal(found[0], np.rot90(pixels, -1))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_damaged_jpeg_data_in_a_tiff_file_are_refused(mode, tmp_path):
    image = PIL.Image.fromarray(by_pillow(SMOOTH)).convert(mode)
    image.save(tmp_path / "x.tif", compression="jpeg", quality=95)
    conversion = Conversion(len(mode), 128)
    with PIL.Image.open(tmp_path / "x.tif") as plain:
        expected = np.asarray(plain.convert(mode)).reshape(128, 128, -1).transpose(2, 0, 1)
        at = plain.tag_v2[273][-1]
    np.testing.assert_array_equal(read_picture(str(tmp_path / "x.tif"), conversion), expected)
    content = bytearray((tmp_path / "x.tif").read_bytes())
    place = content.index(b"\xff\xda", at) + 60
    content[place : place + 2] = b"\xff\xd9"  # an early end
    (tmp_path / "x.tif").write_bytes(content)
    for strict in (True, False):
        with pytest.raises(ValueError, match="damaged JPEG data"):
            read_picture(str(tmp_path / "x.tif"), Conversion(len(mode), 128, strict=strict))
