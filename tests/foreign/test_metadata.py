"""Metadata of pictures: the orientation turns them, and nothing else changes a pixel."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import pictures
from tests.foreign.picture_files import (
    ODD_EXIF,
    encoded,
    with_exif,
)

ANY = Conversion(3, 16, "center-crop", "white", strict=False)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_their_exif_says(kind, orientation, tmp_path):
    data = encoded("PNG", (16, 16))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    info = PIL.Image.Exif()
    info[274] = orientation
    with PIL.Image.open(io.BytesIO(data)) as picture:
        picture.save(tmp_path / "x", kind, exif=info, **options)
        info[274] = 1
        picture.save(tmp_path / "plain", kind, exif=info, **options)
    plain = read_picture(str(tmp_path / "plain"), ANY)
    found = read_picture(str(tmp_path / "x"), ANY)
    turned = {
        1: plain,
        2: plain[:, :, ::-1],
        3: plain[:, ::-1, ::-1],
        4: plain[:, ::-1],
        5: plain.transpose(0, 2, 1),
        6: np.rot90(plain, -1, (1, 2)),
        7: np.rot90(plain, 2, (1, 2)).transpose(0, 2, 1),
        8: np.rot90(plain, 1, (1, 2)),
    }
    np.testing.assert_array_equal(found, turned[orientation])


def test_only_the_orientation_of_exif_data_is_read(tmp_path):
    """Pillow's reader raises TypeError for one odd value beside it."""
    (tmp_path / "plain").write_bytes(encoded("JPEG"))
    (tmp_path / "odd").write_bytes(with_exif(encoded("JPEG"), ODD_EXIF))
    plain, odd = (read_picture(str(tmp_path / name), ANY) for name in ("plain", "odd"))
    np.testing.assert_array_equal(odd, np.rot90(plain, -1, (1, 2)))
    with pictures.open_picture(tmp_path / "odd") as picture:  # Pillow 11 parses them when opening.
        assert [name for name, _ in picture.applist] == ["APP0"]


def test_other_metadata_of_a_jpeg_file_change_no_pixel(tmp_path):
    data = encoded("JPEG")
    noise = bytes(range(256)) * 8
    segments = b"".join(
        b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body
        for kind, body in (
            (0xE2, b"MPF\0" + noise),
            (0xED, b"Photoshop 3.0\0" + noise),
            (0xFE, noise),
            (0xE1, b'http://ns.adobe.com/xap/1.0/\0<a tiff:Orientation="1"/>'),
        )
    )
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "more").write_bytes(data[:2] + segments + b"junk" + data[2:])
    plain, more = (read_picture(str(tmp_path / name), ANY) for name in ("plain", "more"))
    np.testing.assert_array_equal(more, plain)
