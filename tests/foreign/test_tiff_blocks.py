"""TIFF files: every type of number in every layout has its values, or is refused with a reason."""

import itertools
import struct

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.sources.ranges import extent, to_8_bits
from pgtf.foreign import tiff_blocks
from pgtf.foreign.pictures import open_picture
from pgtf.foreign.samples import samples
from tests.foreign.tiffs import blocks, lzw, tiff

RNG = np.random.default_rng(5)
HEIGHT, WIDTH = 21, 19


def stored(path, content):
    path.write_bytes(content)
    with open_picture(path) as picture:
        return samples(picture)


def numbers(dtype, channels):
    if dtype[0] == "f":
        return RNG.normal(0, 100, (HEIGHT, WIDTH, channels)).astype(dtype)
    info = np.iinfo(dtype)
    shape = HEIGHT, WIDTH, channels
    return RNG.integers(info.min, info.max, shape, endpoint=True, dtype=dtype)


LAYOUTS = [dict(rows=5), dict(tile=16), dict(rows=5, planes=True), dict(tile=16, planes=True)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_numbers_of_any_type_are_exact_in_any_layout(dtype, layout, tmp_path):
    predictors = [1] if dtype == "i1" else [1, 3 if dtype[0] == "f" else 2]
    kinds = itertools.product([1, 3], "<>", predictors, [lzw, None])
    for channels, order, predictor, pack in [*kinds, (3, "<", predictors[-1], "deflate")]:
        options = {} if pack == "deflate" else {"pack": pack}
        predictor = 1 if pack is None else predictor  # It belongs to compression.
        values = numbers(dtype, channels)
        content = blocks(values, order=order, predictor=predictor, **layout, **options)
        found = stored(tmp_path / "x.tif", content).values
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, values[:, :, 0] if channels == 1 else values)


def test_large_files_are_read_in_parts_to_the_same_values(tmp_path, monkeypatch):
    values = numbers("u2", 3)
    for layout in LAYOUTS:
        content = blocks(values, predictor=2, **layout)
        monkeypatch.setattr(tiff_blocks, "BAND_BYTES", 700)
        np.testing.assert_array_equal(stored(tmp_path / "x.tif", content).values, values)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_are_numbers(bits, channels, tmp_path):
    values = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH, channels)).astype(np.uint16)
    places = np.arange(bits)[::-1]
    rows = (values[..., np.newaxis] >> places & 1).astype(np.uint8).reshape(HEIGHT, -1)
    content = bytearray(tiff(np.packbits(rows, axis=1)))
    changes = {256: (4, WIDTH), 258: (3, bits), 277: (3, channels)}
    for tag, (kind, value) in (changes | {262: (3, 2 if channels == 3 else 1)}).items():
        at = content.index(struct.pack("<HHI", tag, kind, 1)) + 8
        content[at : at + 4] = struct.pack("<I", value)
    found = stored(tmp_path / "x.tif", bytes(content))
    assert found.highest == (1 << bits) - 1
    np.testing.assert_array_equal(found.values, values[:, :, 0] if channels == 1 else values)


def test_colors_that_were_multiplied_with_opacity_are_divided_by_it(tmp_path):
    colors = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3))
    opacity = RNG.integers(30_000, 65536, (HEIGHT, WIDTH))
    multiplied = np.rint(colors * (opacity / 65535)[:, :, np.newaxis])
    pixels = np.dstack([multiplied, opacity]).astype(np.uint16)
    found = stored(tmp_path / "x.tif", tiff(pixels, more=[(338, 3, 1, struct.pack("<HH", 1, 0))]))
    assert np.abs(found.values.astype(int) - colors).max() <= 2  # of 65535
    np.testing.assert_array_equal(found.opacity, np.rint(opacity / 257))


MEANINGS = {  # of channels: tags, Pillow's mode, its number of channels
    "gray": ({262: [1]}, "L", 1),
    "gray, low values light": ({262: [0]}, "L", 1),
    "gray and another": ({262: [1], 338: [0]}, "L", 2),
    "gray and opacity": ({262: [1], 338: [2]}, "LA", 2),
    "RGB": ({262: [2]}, "RGB", 3),
    "RGB and another": ({262: [2]}, "RGB", 4),
    "RGB and opacity": ({262: [2], 338: [2]}, "RGBA", 4),
    "CMYK": ({262: [5]}, "CMYK", 4),
}


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("name", MEANINGS)
def test_planes_of_any_meaning_are_not_mixed_up(name, dtype, tmp_path):
    more, mode, channels = MEANINGS[name]
    values = numbers(dtype, channels)
    pixels = np.rint(values / (1 if dtype == "u1" else 257)).astype(np.uint8)
    if more[262] == [0]:
        pixels = 255 - pixels
    pixels = pixels[:, :, : len(mode)]
    expected = PIL.Image.frombytes(mode, (WIDTH, HEIGHT), pixels.tobytes())
    for layout, pack in itertools.product(LAYOUTS[2:], [lzw, None]):
        (tmp_path / "x.tif").write_bytes(blocks(values, pack=pack, more=more, **layout))
        with open_picture(tmp_path / "x.tif") as picture:
            found = to_8_bits(picture, None)
        assert found.mode == mode
        np.testing.assert_array_equal(found, expected)


def test_a_color_profile_is_kept(tmp_path):
    profile = PIL.Image.new("RGB", (1, 1)).tobytes() * 50
    at = len(content := tiff(numbers("u2", 3)))
    content = tiff(numbers("u2", 3), more=[(34675, 7, len(profile), struct.pack("<I", at + 12))])
    (tmp_path / "x.tif").write_bytes(content + profile)
    with open_picture(tmp_path / "x.tif") as picture:
        assert picture.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((277, 3, 5), "5 channels of 16 unsigned bits, photometric 2, compression 1"),
        ((259, 3, 34712), "compression 34712"),
        ((262, 3, 32844), "photometric 32844"),
    ],
)
def test_other_kinds_are_refused_in_one_line(change, reason, tmp_path):
    content = bytearray(tiff(numbers("u2", 3)))
    tag, kind, value = change
    at = content.index(struct.pack("<HHI", tag, kind, 1)) + 8
    content[at : at + 4] = struct.pack("<I", value)
    (tmp_path / "x.tif").write_bytes(content)
    message = f"TIFF file of a kind that cannot be read .*{reason}.*; convert it to PNG"
    with pytest.raises(ValueError, match=message), open_picture(tmp_path / "x.tif") as picture:
        extent(picture)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_cut_data_are_damage(layout, tmp_path):
    content = blocks(numbers("u2", 3), pack=lambda data: lzw(data)[:-9], **layout)
    with pytest.raises(ValueError, match="damaged: it ends before its image"):
        stored(tmp_path / "x.tif", content)
