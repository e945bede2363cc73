"""Metadata of pictures: the orientation turns them, and nothing else changes a pixel."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import formats, pictures
from pgtf.foreign.tiff import orientation_of
from tests.foreign.picture_files import (
    ODD_EXIF,
    chunk,
    encoded,
    exif,
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


@pytest.mark.parametrize("order", "<>")
def test_an_orientation_counts_whatever_follows_it(order):
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    number = struct.Struct(order + "H")
    good = struct.pack(order + "HHIHH", 274, 3, 1, 6, 0)
    others = {
        "out of range": struct.pack(order + "HHIHH", 274, 3, 1, 9, 0),
        "two values": struct.pack(order + "HHIHH", 274, 3, 2, 3, 4),
        "text": struct.pack(order + "HHI", 274, 2, 1) + b"3\0\0\0",
        "8 bytes": struct.pack(order + "HHII", 274, 16, 1, 3),  # the place of a value
    }
    assert orientation_of(head + number.pack(1) + good) == 6
    for count in (2, 24, 4097, 65535):  # more than there are
        assert orientation_of(head + number.pack(count) + good) == 6
        assert orientation_of(head + number.pack(count) + good + b"cut off") == 6
    for name, other in others.items():
        assert orientation_of(head + number.pack(1) + other) == 0, name
        assert orientation_of(head + number.pack(2) + other + good) == 6, name
    assert orientation_of(head + number.pack(1) + good[:-1]) == 0
    assert orientation_of(head[:2] + b"\0\0" + head[4:] + number.pack(1) + good) == 6
    for damaged in (b"", head[:7], b"XX" + head[2:] + number.pack(1) + good, head):
        assert orientation_of(damaged) == 0


def turned_by(content, path):
    """True if a file of a 16x16 ramp is read turned by 90 degrees, False if as it is stored."""
    path.write_bytes(content)
    found = read_picture(str(path), ANY)
    path.write_bytes(encoded("JPEG" if content[:2] == b"\xff\xd8" else "PNG"))
    plain = read_picture(str(path), ANY)
    is_turned = np.array_equal(found, np.rot90(plain, -1, (1, 2)))
    assert is_turned or np.array_equal(found, plain)
    return is_turned


def test_the_first_of_several_exif_segments_with_an_orientation_counts(tmp_path):
    turned, upright, silent = exif((274, 3, 1, 6 << 16)), exif((274, 3, 1, 1 << 16)), exif()
    for blocks, expected in (
        ((turned, upright), True),
        ((upright, turned), False),
        ((silent, turned), True),
        ((b"", b"more of it", turned), True),
        ((silent, silent), False),
    ):
        content = encoded("JPEG")
        for block in reversed(blocks):
            content = with_exif(content, block)
        assert turned_by(content, tmp_path / "x") == expected


def test_metadata_of_a_png_file_with_a_wrong_checksum_are_left_out(tmp_path):
    good = chunk(b"eXIf", exif((274, 3, 1, 6 << 16)))
    bad = good[:-1] + bytes([good[-1] ^ 1])
    text = chunk(b"tEXt", b"Title\0x")[:-4] + b"oops"
    content = encoded("PNG")
    head, rest = content[:33], content[33:]
    end = content.index(b"IEND") - 4
    for chunks, expected in ((good, True), (bad, False), (bad + good, True), (good + text, True)):
        assert turned_by(head + chunks + rest, tmp_path / "x") == expected
        assert turned_by(content[:end] + chunks + content[end:], tmp_path / "x") == expected
    transparent = chunk(b"tRNS", bytes(6))[:-4] + b"oops"  # It has an effect on the pixels.
    (tmp_path / "x").write_bytes(head + transparent + rest)
    with pytest.raises(PIL.UnidentifiedImageError):
        read_picture(str(tmp_path / "x"), ANY)


@pytest.mark.parametrize("form", ["='6'", ' = "6"', ">6<", '="6"'])
def test_the_orientation_in_xmp_data_may_be_written_in_all_ways_of_xml(form, tmp_path):
    body = f"http://ns.adobe.com/xap/1.0/\0<a tiff:Orientation{form}/>".encode()
    content = encoded("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    assert turned_by(content[:2] + segment + content[2:], tmp_path / "x")


@pytest.mark.skipif("AVIF" not in formats.formats(), reason="this Pillow reads no AVIF")
def test_damaged_exif_data_of_an_avif_file_are_not_read(tmp_path):
    block = exif((0x010E, 7, 4, 0))
    content = encoded("AVIF", exif=b"Exif\0\0" + block)
    (tmp_path / "plain").write_bytes(content)
    plain = read_picture(str(tmp_path / "plain"), ANY)
    for damaged in (b"XX" + block[2:], bytes(len(block)), block[:4] + b"\xff" * (len(block) - 4)):
        (tmp_path / "x").write_bytes(content.replace(block, damaged))
        np.testing.assert_array_equal(read_picture(str(tmp_path / "x"), ANY), plain)
