"""Pictures that cannot be read are named with a remedy; HEIC is read where a package for it is."""

import io
import struct
import sys

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import formats, pictures
from tests.dataset.commands import run
from tests.dataset.folders import create, save
from tests.foreign.tiffs import tiff

THUMBNAIL = np.full((16, 16, 3), 99, np.uint8)
RAW = "camera raw: only its thumbnail can be read; develop it to TIFF or PNG first"
SENSOR = struct.pack("<HH", 32803, 0)


def with_subdirectory(order="<"):
    """A thumbnail, and what a sensor gave in a directory below, as NEF and ARW files have it."""
    data = bytearray(tiff(THUMBNAIL, order=order, more=[(330, 4, 1, bytes(4))]))
    below = len(data)
    data += struct.pack(order + "HHHIHH", 1, 262, 3, 1, 32803, 0) + bytes(4)
    at = data.index(struct.pack(order + "HHI", 330, 4, 1)) + 8
    struct.pack_into(order + "I", data, at, below)
    return bytes(data)


RAWS = {
    "dng.tif": tiff(THUMBNAIL, more=[(50706, 1, 4, b"\1\4\0\0")]),
    "nef": with_subdirectory(),
    "pef": with_subdirectory(">"),
    "second page": tiff(THUMBNAIL[:, :, 0], THUMBNAIL[:, :, 0], more=[(262, 3, 1, SENSOR)]),
    "by name.ARW": tiff(THUMBNAIL),
    "x.nef": b"whatever",
    "cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(99),
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(99),
    "raf": b"FUJIFILMCCD-RAW 0201" + bytes(99),
    "orf": b"IIRO\x08\0\0\0" + bytes(99),
    "rw2": b"IIU\0\x08\0\0\0" + bytes(99),
    "x3f": b"FOVb" + bytes(99),
}


@pytest.mark.parametrize("name", RAWS)
def test_camera_raw_is_rejected_by_content_or_name(name, tmp_path):
    (tmp_path / name).write_bytes(RAWS[name])
    for strict in (True, False):
        with pytest.raises(ValueError, match=RAW):
            read_picture(str(tmp_path / name), Conversion(3, 16, strict=strict))


def test_other_tiff_files_are_not_camera_raw(tmp_path):
    more = [(271, 2, 4, b"Nik\0"), (330, 4, 1, struct.pack("<I", 1 << 30))]
    (tmp_path / "x.tif").write_bytes(tiff(THUMBNAIL, more=more))
    found = read_picture(str(tmp_path / "x.tif"), Conversion(3, 16))
    np.testing.assert_array_equal(found, THUMBNAIL.transpose(2, 0, 1))


def test_a_jpeg_file_named_as_camera_raw_is_read(tmp_path):
    buffer = io.BytesIO()
    PIL.Image.fromarray(THUMBNAIL).save(buffer, "JPEG")
    (tmp_path / "x.dng").write_bytes(buffer.getvalue())
    assert read_picture(str(tmp_path / "x.dng"), Conversion(3, 16)).mean() == pytest.approx(
        99, abs=1
    )


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300)
JXLS = (b"\xff\x0a" + bytes(99), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99))


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg", "IMG_1"])
def test_heic_is_named_with_the_package_that_reads_it(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    save(tmp_path / "in" / "a.png", 7)
    (tmp_path / "in" / name).write_bytes(HEIC)
    assert run("create_from_images", tmp_path / "out", tmp_path / "in") == 2
    line = capsys.readouterr().err
    assert f"{name}: HEIC picture: pip install pillow-heif lets it be read" in line
    summary = create(tmp_path, max_errors=1)
    assert [x.reason[:12] for x in summary.rejected] == ["HEIC picture"]


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg", "IMG_1"])
def test_damaged_heic_is_named_where_the_package_is_installed(name, tmp_path):
    pytest.importorskip("pillow_heif")
    save(tmp_path / "in" / "a.png", 7)
    (tmp_path / "in" / name).write_bytes(HEIC)
    with pytest.raises(ValueError, match=f"{name}: HEIC picture: damaged, or of a kind that"):
        create(tmp_path)


def test_heic_is_read_where_the_package_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    ramp = np.add.outer(np.arange(64), np.arange(32)).astype(np.uint8) * 2
    pixels = np.stack([ramp, ramp // 2, 255 - ramp], axis=2)
    exif = PIL.Image.Exif()
    exif[274] = 6
    heif.from_pillow(PIL.Image.fromarray(pixels)).save(tmp_path / "x.heic", quality=-1, chroma=444)
    upright = read_picture(str(tmp_path / "x.heic"), Conversion(3, 32, "resize", strict=False))
    picture = PIL.Image.fromarray(pixels).resize((32, 32), PIL.Image.Resampling.LANCZOS)
    assert np.abs(upright - np.asarray(picture, int).transpose(2, 0, 1)).max() <= 3
    image = heif.from_pillow(PIL.Image.fromarray(pixels))
    image.info["exif"] = exif.tobytes()
    image.save(tmp_path / "turned.heic", quality=-1, chroma=444)
    with pictures.open_picture(tmp_path / "turned.heic") as picture:
        assert picture.size == (64, 32)  # It is stored upright once.
        assert pictures.orientation(picture) == 1


@pytest.mark.parametrize("content", JXLS)
@pytest.mark.parametrize("name", ["x.jxl", "x.jpg"])
def test_jpeg_xl_is_named(name, content, tmp_path):
    save(tmp_path / "in" / "a.png", 7)
    (tmp_path / "in" / name).write_bytes(content)
    assert list_images(str(tmp_path / "in"))[0] == ["a.png", name]
    with pytest.raises(
        ValueError, match="JPEG XL picture: cannot be read; convert it to PNG first"
    ):
        create(tmp_path)
    assert create(tmp_path, max_errors=1).num_images == 1


def test_avif_is_no_heic(tmp_path):
    """Both have files of the brand mif1."""
    if "AVIF" not in formats.formats():
        pytest.skip("Pillow has no AVIF here")
    PIL.Image.fromarray(THUMBNAIL).save(tmp_path / "x.heif", "AVIF", quality=100)
    found = read_picture(str(tmp_path / "x.heif"), Conversion(3, 16))
    assert np.abs(found.astype(int) - 99).max() <= 3
