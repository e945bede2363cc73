"""Pictures that harm: programs, memory, time, and decoders that raise anything."""

import io
import os
import pathlib
import re
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.foreign import pictures
from pgtf.foreign.limits import FREE_PIXELS, MAX_PIXELS, check_size
from tests.foreign.bounded import outcomes
from tests.foreign.picture_files import (
    ODD_EXIF,
    chunk,
    encoded,
    exif,
    jpeg_of_size,
    many_scans,
    png,
    tiff,
    with_exif,
    with_size,
)

HOSTILE = pathlib.Path(__file__).parents[1] / "data" / "hostile"
ANY = Conversion(3, 16, "center-crop", "white", strict=False)


def test_a_postscript_file_starts_no_program(tmp_path, monkeypatch):
    gs = tmp_path / "bin" / "gs"
    gs.parent.mkdir()
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/ghostscript-was-here\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", str(gs.parent), prepend=os.pathsep)
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # where Pillow looked before
    for name in ("photo.jpg", "photo.eps"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes((HOSTILE / "eps.jpg").read_bytes())
        with pytest.raises(OSError, match="cannot identify") as caught:
            read_picture(str(tmp_path / "in" / name), ANY)
        assert pictures.reason(caught.value) == "not an image, or of a kind that cannot be read"
    assert not (tmp_path / "ghostscript-was-here").exists()
    assert list_images(str(tmp_path / "in")) == (["photo.jpg"], ["photo.eps"])


def bombs():
    """{name: (content, pattern in the line, or "read")}."""
    jp2, gif = encoded("JPEG2000", no_jp2=True), encoded("GIF")
    after_palette = 13 + (6 << (gif[10] & 7))
    return {
        "pic-memory.gif": ((HOSTILE / "pic-memory.bin").read_bytes(), "claims to be 9494x12740"),
        "padded.gif": (
            (HOSTILE / "pic-memory.bin").read_bytes().ljust(1 << 20, b"\0"),
            "claims to be 9494x12740",
        ),
        "pic-assert.png": ((HOSTILE / "pic-assert.bin").read_bytes(), "broken data stream|damaged"),
        "pic-type.tif": ((HOSTILE / "pic-typeerror.bin").read_bytes(), r"damaged \(TypeError"),
        "16-bit.png": (png(13_377, 16), "claims to be 13377x13377, too large for its"),
        "rgba.png": (png(60_000, 8, 6), "must have at most 178956970 pixels, found 3600000000"),
        "size.jpg": (jpeg_of_size(13_000), "claims to be 13000x13000"),
        "size.gif": (with_size(encoded("GIF"), 6, "<HH", 13_000), "claims to be 13000x13000"),
        "size.bmp": (with_size(encoded("BMP"), 18, "<ii", 13_000), "claims to be 13000x13000"),
        "size.tif": (tiff([(256, 4, 1, 13_000), (257, 4, 1, 13_000)]), "claims to be 13000x13000"),
        "size.webp": (
            b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
            + 2 * (4999).to_bytes(3, "little")
            + bytes(99),
            "claims to be 5000x5000",
        ),
        "size.ppm": (b"P6 13000 13000 255\n" + bytes(99), "claims to be 13000x13000"),
        "tiles.jp2": (
            with_size(jp2, 8, ">II", 5000),
            "have larger",
        ),
        "small-tiles.jp2": (
            with_size(with_size(jp2, 8, ">II", 256), 24, ">II", 1),
            "must have larger tiles, found 1x1",
        ),
        "size.jp2": (
            with_size(with_size(jp2, 8, ">II", 5000), 24, ">II", 5000),
            "claims to be 5000x5",
        ),
        "tags.tif": (tiff([(30_000 + n, 1, 1 << 20, 8) for n in range(60)]), "read"),
        "strips.tif": (tiff([(273, 4, 1 << 20, 8)]), "claims more bytes than the file has"),
        "tiles.tif": (
            tiff([(322, 4, 1, 1 << 16), (323, 4, 1, 1 << 14)]),
            "tiles are larger than the",
        ),
        "many-strips.tif": (
            tiff([(273, 4, 1 << 16, 8), (279, 4, 1 << 16, 8)], bytes(1 << 20)),
            "has 65536 values",
        ),
        "many-values.tif": (
            tiff([(318, 5, 1 << 19, 8)], bytes(1 << 22)),
            "damaged: tag 318 has 524288 values",
        ),
        "entries.tif": (b"II*\0\x08\0\0\0\xff\xff" + bytes(99), "its directory has 65535 entries"),
        "scans.jpg": (many_scans(3000), "must have fewer JPEG scans, found 3009"),
        "chunks.png": (
            png(16, extra=300_000 * chunk(b"teSt", b"")),
            "must have at most 262144 chunks",
        ),
        "segments.jpg": (
            encoded("JPEG")[:2] + 10_000 * b"\xff\xfe\0\x02" + encoded("JPEG")[2:],
            "damaged: too many segments",
        ),
        "comments.gif": (
            gif[:after_palette] + b"!\xfe" + 10_000 * b"\x01x" + b"\0" + gif[after_palette:],
            "has too many comments",
        ),
        "fill.jpg": (
            encoded("JPEG")[:2] + (1 << 24) * b"\xff",
            "damaged: it ends before its image",
        ),
        "exif.jpg": (
            with_exif(encoded("JPEG"), exif(*((tag, 1, 60_000, 0) for tag in range(5000)))),
            "read",
        ),
        "odd-exif.jpg": (with_exif(encoded("JPEG"), ODD_EXIF), "read"),
        "text.png": (
            png(
                16, extra=64 * chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24), 1)), rows=16
            ),
            "Decompressed data too large",
        ),
        "profile.png": (
            png(16, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 24), 1)), rows=16),
            "Decompressed data too large",
        ),
        # What a small file may claim without being refused stays within memory.
        "free-16-bit.png": (png(5792, 16, rows=5792), "read"),
        "free-rgba.png": (png(5792, 8, 6, rows=5792), "read"),
    }


@pytest.mark.parametrize("kind", ["picture", "photograph", "lsun"])
def test_no_picture_takes_much_memory_or_time(kind, tmp_path):
    """512 MiB and five seconds each: see `bounded`."""
    chosen = bombs()
    if kind == "photograph":
        chosen = {k: v for k, v in chosen.items() if k.startswith(("pic", "free"))}
    if kind == "lsun":  # OpenCV decodes what was not refused before, and that differently.
        pytest.importorskip("cv2")
        chosen = {k: v for k, v in chosen.items() if v[1].startswith(("claims", "must", "have"))}
    for name, (content, _) in chosen.items():
        (tmp_path / name).write_bytes(content)
    found = outcomes(kind, *(tmp_path / name for name in chosen))
    different = {
        name: (outcome, expected)
        for (name, (_, expected)), outcome in zip(chosen.items(), found, strict=True)
        if not re.search(expected, outcome)
    }
    assert different == {}


def test_a_picture_of_another_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(encoded("PNG", (32, 32)))
    (tmp_path / "x.jpg").write_bytes(encoded("JPEG", (32, 32)))
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for name in ("x.png", "x.jpg"):
        with pytest.raises(ValueError, match="must be 16x16 RGB like the others, found 32x32 RGB"):
            read_picture(str(tmp_path / name), Conversion(3, 16))


@pytest.mark.parametrize(
    ("size", "num_bytes", "kind", "accepted"),
    [
        ((5792, 5792), 10, "PNG", True),  # 33 megapixels of any content
        ((5793, 5793), 10, "PNG", False),
        ((5793, 5793), 5793**2 // 128 + 1, "PNG", True),
        ((4096, 4096), 10, "WEBP", True),
        ((4096, 4097), 10, "WEBP", False),
        ((8256, 5504), 10**7, "JPEG", True),  # a camera of 45 megapixels
        ((16_000, 11_184), 10**7, "JPEG", True),  # 179 megapixels
        ((16_000, 11_185), 10**9, "JPEG", False),
    ],
)
def test_only_as_many_pixels_are_decoded_as_the_file_can_hold(size, num_bytes, kind, accepted):
    assert FREE_PIXELS >= 5792**2
    assert MAX_PIXELS == 2 * PIL.Image.MAX_IMAGE_PIXELS
    if accepted:
        check_size(size, num_bytes, kind)
    else:
        with pytest.raises(ValueError, match="claims to be|must have at most 178956970 pixels"):
            check_size(size, num_bytes, kind)
    check_size(size, num_bytes, kind, max_pixels=10**9)  # whoever says so, knows


def test_a_higher_limit_holds_for_pillow_too(tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 60)  # It refuses from 121 on.
    (tmp_path / "x.png").write_bytes(encoded("PNG"))
    with pytest.raises(ValueError, match="must have at most 178956970 pixels, found 256"):
        with pictures.open_picture(tmp_path / "x.png"):
            pass
    with pictures.open_picture(tmp_path / "x.png", max_pixels=MAX_PIXELS + 1) as picture:
        assert np.asarray(picture).shape == (16, 16, 3)
    assert PIL.Image.MAX_IMAGE_PIXELS == 60


ERRORS = [TypeError, AssertionError, KeyError, struct.error, zlib.error, OverflowError, EOFError]
ERRORS += [RecursionError, MemoryError, SyntaxError, IndexError, NotImplementedError, RuntimeError]


@pytest.mark.parametrize("error", ERRORS)
def test_anything_that_a_decoder_raises_is_one_line(error, tmp_path, monkeypatch):
    def fail(self):
        raise error("no\nway")

    (tmp_path / "x.png").write_bytes(encoded("PNG"))
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", fail)
    lack = "^needs more memory than there is$"
    with pytest.raises(ValueError, match=lack if error is MemoryError else "^damaged .*no.*way"):
        read_picture(str(tmp_path / "x.png"), ANY)


def test_a_pipe_behind_a_link_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x.png").symlink_to("pipe")
    for conversion in (ANY, Conversion(3, 16)):
        with pytest.raises(ValueError, match="must be a regular file"):
            read_picture(str(tmp_path / "x.png"), conversion)


def test_the_size_of_a_jpeg_file_is_told_by_its_beginning(tmp_path, monkeypatch):
    data = with_exif(encoded("JPEG", (64, 48)), bytes(60_000))
    (tmp_path / "x.jpg").write_bytes(data + bytes(1 << 20))
    read = []
    real = io.BufferedReader.read
    spy = type("Spy", (io.BufferedReader,), {"read": lambda s, n=-1: read.append(n) or real(s, n)})
    monkeypatch.setattr(pictures, "open_regular", lambda path: spy(io.FileIO(path)))
    with pictures.open_picture(tmp_path / "x.jpg", pixels=False) as picture:
        assert picture.size == (64, 48)
    assert all(0 <= n <= 1 << 16 for n in read)
