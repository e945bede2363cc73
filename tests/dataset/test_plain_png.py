"""The quick way of reading PNG files, beside Pillow."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources import pictures
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.dataset.sources.plain_png import PNG_HEAD, read_plain_png
from tests.dataset import recipes
from tests.dataset.folders import gradient


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_quick_way_of_reading_png_agrees_with_pillow(mode, tmp_path, monkeypatch):
    values = recipes.noise(3, (1, 3, 64, 64))[0].transpose(1, 2, 0)
    picture = PIL.Image.fromarray(values).convert(mode)
    picture.save(tmp_path / "x.png")
    conversion = Conversion(len(picture.getbands()), 64)
    quick = read_picture(str(tmp_path / "x.png"), conversion)
    monkeypatch.setattr(pictures, "read_plain_png", lambda *args: None)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "x.png"), conversion), quick)
    np.testing.assert_array_equal(np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1), quick)


@pytest.mark.parametrize("kind", ["interlaced", "16-bit", "palette", "RGBA", "gray", "cut", "JPEG"])
def test_the_quick_way_leaves_other_files_to_pillow(kind, tmp_path):
    picture = PIL.Image.fromarray(gradient(64, 64))
    buffer = io.BytesIO()
    others = {
        "palette": picture.quantize(),
        "RGBA": picture.convert("RGBA"),
        "gray": picture.convert("L"),
        "16-bit": PIL.Image.fromarray(np.zeros((64, 64), np.uint16)),
    }
    others.get(kind, picture).save(buffer, "JPEG" if kind == "JPEG" else "PNG")
    data = bytearray(buffer.getvalue())
    if kind == "interlaced":
        data[28] = 1
    (tmp_path / "x").write_bytes(data[:-30] if kind == "cut" else data)
    assert read_plain_png(str(tmp_path / "x"), (64, 64), 3) is None


def test_the_quick_way_decodes_nothing_of_another_size(tmp_path, monkeypatch):
    """A header may promise more pixels than memory holds."""
    size = struct.pack(">II", 60_000, 60_000)
    chunk = b"IHDR" + size + bytes([8, 2, 0, 0, 0])
    data = PNG_HEAD[:-4] + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "x.png").write_bytes(data + b"\0\0\0\0IEND\xaeB`\x82")
    decoder = pytest.importorskip("kornia_rs.io")
    monkeypatch.setattr(decoder, "read_image_png_u8", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="must have at most 178956970 pixels, found 3600000000"):
        read_picture(str(tmp_path / "x.png"), Conversion(3, 256))


CHUNKS = {
    b"gAMA": struct.pack(">I", 100_000),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"sBIT": bytes([5, 6, 5]),
    b"tRNS": struct.pack(">3H", 1, 2, 3),
    b"iCCP": b"x\0\0" + zlib.compress(b"no profile"),
    b"eXIf": b"MM\0*\0\0\0\x08\0\0",
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_the_quick_way_leaves_chunks_that_change_the_look_to_pillow(place, name, tmp_path):
    pytest.importorskip("kornia_rs.io")
    values = recipes.noise(3, (1, 3, 64, 64))[0].transpose(1, 2, 0)
    buffer = io.BytesIO()
    PIL.Image.fromarray(values).save(buffer, "PNG")
    at = 33 if place == "before" else -12  # IHDR ends there, IEND begins there
    head, rest = buffer.getvalue()[:at], buffer.getvalue()[at:]
    chunk = name + CHUNKS[name]
    length, checksum = struct.pack(">I", len(CHUNKS[name])), struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "x.png").write_bytes(head + length + chunk + checksum + rest)
    quick = read_plain_png(str(tmp_path / "x.png"), (64, 64), 3)
    if name in (b"tRNS", b"iCCP", b"eXIf"):
        assert quick is None
    else:
        np.testing.assert_array_equal(quick, values.transpose(2, 0, 1))
    found = read_picture(str(tmp_path / "x.png"), Conversion(3, 64))
    np.testing.assert_array_equal(found, values.transpose(2, 0, 1))  # They say nothing new.
