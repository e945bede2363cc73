"""Pictures with more than 8 bits: exact rounding, ranges of values, transparent values."""

import json
import struct
import zlib

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.dataset.sources.ranges import parse_range, scaled
from tests.dataset.commands import run
from tests.dataset.folders import create
from tests.foreign.tiffs import png, tiff

RNG = np.random.default_rng(0)


def read(path, content, channels=1, **options):
    path.write_bytes(content)
    return read_picture(str(path), Conversion(channels, 16, strict=False, **options))


def rounded(values, low=0, high=65535):
    """Nearest of 0 to 255; products of integers are exact in float64."""
    return np.rint((np.clip(values.astype(float), low, high) - low) * 255 / (high - low))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "II", "MM", "II deflate", "MM deflate"])
def test_colors_of_16_bits_are_rounded_as_gray_is(kind, channels, tmp_path):
    values = RNG.integers(0, 65536, (16, 16, channels)).astype(np.uint16)
    if channels == 4:
        values[:, :, 3] = 65535
    order = "<" if kind.startswith("II") else ">"
    content = (
        png(values)
        if kind == "png"
        else tiff(values, order=order, compressed=kind.endswith("deflate"))
    )
    found = read(tmp_path / "x", content, 3)
    np.testing.assert_array_equal(found, rounded(values[:, :, :3]).transpose(2, 0, 1))
    if channels == 3:  # without flags too
        strict = read_picture(str(tmp_path / "x"), Conversion(3, 16))
        np.testing.assert_array_equal(strict, found)


@pytest.mark.parametrize("channels", [2, 4])
def test_opacity_of_16_bits_is_rounded(channels, tmp_path):
    values = RNG.integers(0, 65536, (16, 16, channels)).astype(np.uint16)
    found = read(tmp_path / "x", png(values), 3, alpha="white").astype(int)
    colors, opacity = rounded(values[:, :, :-1]), rounded(values[:, :, -1:])
    expected = (colors * opacity + 255 * (255 - opacity)) / 255
    assert np.abs(found.transpose(1, 2, 0) - expected).max() <= 1  # Pillow's rounding


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u2", "i2", "u4", "i4", "f4", "i1"])
def test_a_range_maps_values_of_any_type(kind, compressed, white_is_zero, order, tmp_path):
    dtype = np.dtype(kind)
    if kind == "f4":
        values, low, high = RNG.normal(0, 2, (16, 16)).astype(dtype), -1.5, 2.25
    elif kind == "u4":
        values, low, high = RNG.integers(0, 1 << 32, (16, 16)).astype(dtype), 7, 3_999_999_999
    else:
        least = np.iinfo(dtype).min
        values = RNG.integers(least, np.iinfo(dtype).max, (16, 16)).astype(dtype)
        low, high = least // 2, np.iinfo(dtype).max // 2
    content = tiff(values, order=order, white_is_zero=white_is_zero, compressed=compressed)
    found = read(tmp_path / "x.tif", content, value_range=(low, high))[0]
    expected = rounded(values, low, high)
    np.testing.assert_array_equal(found, 255 - expected if white_is_zero else expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_low_values_are_light_where_a_file_says_so(kind, order, tmp_path):
    top = np.iinfo(kind).max
    values = RNG.integers(0, top + 1, (16, 16)).astype(kind)
    found = read(tmp_path / "x.tif", tiff(values, order=order, white_is_zero=True))[0]
    np.testing.assert_array_equal(found, 255 - rounded(values, 0, top))


def test_a_range_holds_for_colors_and_for_8_bits_but_not_for_opacity(tmp_path):
    colors = RNG.integers(0, 4096, (16, 16, 3)).astype(np.uint16)
    found = read(tmp_path / "x.png", png(colors), 3, value_range=(0, 4095))
    np.testing.assert_array_equal(found, rounded(colors, 0, 4095).transpose(2, 0, 1))
    gray = RNG.integers(0, 256, (16, 16)).astype(np.uint8)
    found = read(tmp_path / "x.png", png(gray), 1, value_range=(20, 90))[0]
    np.testing.assert_array_equal(found, rounded(gray, 20, 90))
    both = np.dstack([gray, np.full_like(gray, 255)])
    found = read(tmp_path / "x.png", png(both), 1, value_range=(20, 90))[0]
    np.testing.assert_array_equal(found, rounded(gray, 20, 90))


@pytest.mark.parametrize("kind", ["i2", "u4", "i4", "f4", "i1"])
def test_numbers_without_a_range_of_their_own_are_refused(kind, tmp_path):
    name = {"f4": "floating-point"}.get(kind, np.dtype(kind).name)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.tif").write_bytes(tiff(np.zeros((16, 16), kind)))
    with pytest.raises(
        ValueError, match=f"{name} images have no known range; --range=LOW,HIGH says it"
    ):
        create(tmp_path, channels=1)


def test_values_that_are_not_numbers_are_refused_and_infinite_ones_are_not(tmp_path):
    values = np.zeros((16, 16), np.float32)
    values[0, 0], values[0, 1] = np.inf, -np.inf
    found = read(tmp_path / "x.tif", tiff(values), value_range=(-1, 1))[0]
    assert (found[0, 0], found[0, 1], found[1, 1]) == (255, 0, 128)
    values[3, 3] = np.nan
    with pytest.raises(ValueError, match="has values that are not numbers"):
        read(tmp_path / "x.tif", tiff(values), value_range=(-1, 1))


def test_halves_are_rounded_to_even():
    assert scaled(np.array([[1, 3, 5]]), (0, 510)).tolist() == [[0, 2, 2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0,4095", (0, 4095)), ("-1024,3071", (-1024, 3071)), ("1e-3,.5", (0.001, 0.5))],
)
def test_a_range_is_two_numbers(text, expected):
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["", "5", "5,5", "9,1", "0,1,2", "a,b", "nan,1", "0,inf"])
def test_other_ranges_are_one_line(text, tmp_path, capsys):
    assert run("create_from_images", tmp_path / "out", tmp_path, f"--range={text}") == 2
    assert (
        "must be LOW,HIGH, two numbers with LOW < HIGH, such as 0,4095" in capsys.readouterr().err
    )


@pytest.fixture
def scans(tmp_path):
    """Two files with 12 of 16 bits: the first spans 100 to 3000, the second 400 to 4000."""
    (tmp_path / "in").mkdir()
    values = np.linspace(100, 3000, 256).astype(np.uint16).reshape(16, 16)
    (tmp_path / "in" / "a.png").write_bytes(png(values))
    more = np.linspace(400, 4000, 256).astype(np.uint16).reshape(16, 16)
    (tmp_path / "in" / "b.tif").write_bytes(tiff(more, order=">"))
    return values, more


def pixels(folder):
    dataset = open_dataset(folder)
    return dataset.read_images(range(dataset.num_images))[..., 0]


@pytest.mark.parametrize("workers", [1, 2])
def test_auto_is_the_range_of_the_whole_set_and_is_kept(workers, scans, tmp_path):
    command = ("create_from_images", tmp_path / "out", tmp_path / "in", "--range=auto")
    assert run(*command, "--shuffle=0", f"--num_workers={workers}") == 0
    expected = [rounded(values, 100, 4000) for values in scans]
    np.testing.assert_array_equal(pixels(tmp_path / "out"), expected)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["range"] == [100, 4000]


def test_a_given_range_is_kept_too(scans, tmp_path):
    create(tmp_path, shuffle=False, value_range=(0.0, 4095.0))
    np.testing.assert_array_equal(pixels(tmp_path / "out"), [rounded(x, 0, 4095) for x in scans])
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["range"] == [0, 4095]


def test_auto_needs_different_values(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(np.full((16, 16), 7, np.uint16)))
    with pytest.raises(
        ValueError, match="different values for --range=auto. Received: 7 everywhere"
    ):
        create(tmp_path, value_range="auto")


def test_a_set_that_uses_a_small_part_of_its_range_is_warned_about(scans, tmp_path, caplog):
    create(tmp_path, channels=1)
    (line,) = caplog.messages
    assert "those of 2 pictures are 100 to 4000, so they become dark" in line
    assert "for values of 12 bits, --range=0,4095" in line


def test_a_set_that_uses_its_range_is_not(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    values = np.linspace(0, 40_000, 256).astype(np.uint16).reshape(16, 16)
    (tmp_path / "in" / "a.png").write_bytes(png(values))
    create(tmp_path, channels=1)
    assert caplog.messages == []


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_gray_is_compared_as_stored(bits, tmp_path):
    top = (1 << bits) - 1
    values = (np.arange(256).reshape(16, 16) * 37 % (top + 1)).astype("u2" if bits == 16 else "u1")
    key = int(values[5, 7])
    content = png(values, bits, struct.pack(">H", key))
    found = read(tmp_path / "x.png", content, alpha="white")[0]
    expected = np.where(values == key, 255, rounded(values, 0, top))
    np.testing.assert_array_equal(found, expected)
    black = read(tmp_path / "x.png", content, alpha="black")[0]
    np.testing.assert_array_equal(black, np.where(values == key, 0, rounded(values, 0, top)))
    with pytest.raises(ValueError, match="is transparent; --alpha="):
        read(tmp_path / "x.png", content)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_a_transparent_color_is_compared_as_stored(kind, tmp_path):
    top = np.iinfo(kind).max
    values = RNG.integers(0, top + 1, (16, 16, 3)).astype(kind)
    if kind == "u2":
        values[0, 1] = values[0, 0] ^ 1  # differs in bits that 8-bit pictures do not have
    content = png(values, key=struct.pack(">3H", *values[0, 0].tolist()))
    found = read(tmp_path / "x.png", content, 3, alpha="white").transpose(1, 2, 0)
    expected = rounded(values, 0, top)
    expected[0, 0] = 255
    np.testing.assert_array_equal(found, expected)


def test_the_suggested_command_has_a_range_where_one_is_needed(scans, tmp_path, monkeypatch):
    from pgtf.dataset.sources.images import suggested_command

    command = suggested_command(str(tmp_path / "in")).split()
    assert command[5:] == ["--channels=1", "--range=auto"]
    monkeypatch.chdir(tmp_path)
    assert run(*command[2:]) == 0
    assert pixels("datasets/in").max() == 255


def test_12_bit_tiff_files_are_stretched_to_their_range(tmp_path):
    values = RNG.integers(0, 4096, (16, 16)).astype(np.uint16)
    pairs = values.reshape(-1, 2).astype(np.uint32)
    joined = pairs[:, 0] << 12 | pairs[:, 1]
    packed = np.stack([joined >> 16, joined >> 8 & 255, joined & 255], axis=1).astype(np.uint8)
    content = bytearray(tiff(packed.reshape(16, 24)))
    at = content.index(struct.pack("<HHII", 258, 3, 1, 8)) + 8
    content[at : at + 4] = struct.pack("<I", 12)
    at = content.index(struct.pack("<HHII", 256, 4, 1, 24)) + 8
    content[at : at + 4] = struct.pack("<I", 16)
    found = read(tmp_path / "x.tif", bytes(content))[0]
    np.testing.assert_array_equal(found, rounded(values, 0, 4095))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "kind", ["f2", "f8", "f4 rgb", "u2 planes", "u2 gray and opacity", "u4 rgb"]
)
def test_tiff_files_that_pillow_does_not_open_are_read(kind, compressed, order, tmp_path):
    name, _, layout = kind.partition(" ")
    channels = {"rgb": 3, "planes": 3, "gray and opacity": 2}.get(layout, 1)
    values = RNG.integers(0, 60_000, (16, 16, channels)).astype(name)
    colors = values[:, :, :1] if channels == 2 else values
    more = [(284, 3, 1, struct.pack(order + "HH", 2, 0))] if layout == "planes" else []
    more += [(338, 3, 1, struct.pack(order + "HH", 0, 0))] if channels == 2 else []
    stored = values.transpose(2, 0, 1) if layout == "planes" else values
    content = tiff(stored.reshape(16, 16, channels), order=order, compressed=compressed, more=more)
    if layout == "planes":  # one strip per plane, in a list behind the file
        planes = [plane.astype(order + "u2").tobytes() for plane in stored]
        planes = [zlib.compress(plane) for plane in planes] if compressed else planes
        starts = np.cumsum([len(content), *map(len, planes)])
        places = struct.pack(order + "6I", *starts[:3], *map(len, planes))
        at, content = starts[3], bytearray(content + b"".join(planes) + places)
        for tag, offset in ((273, at), (279, at + 12)):
            place = content.index(struct.pack(order + "HHI", tag, 4, 1))
            content[place : place + 12] = struct.pack(order + "HHII", tag, 4, 3, offset)
    found = read(tmp_path / "x.tif", bytes(content), 3, value_range=(0, 60_000))
    expected = np.broadcast_to(rounded(colors, 0, 60_000), (16, 16, 3)).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, expected)


def test_opacity_beside_gray_of_16_bits_counts(tmp_path):
    values = RNG.integers(0, 65536, (16, 16, 2)).astype(np.uint16)
    content = tiff(values, more=[(338, 3, 1, struct.pack("<HH", 2, 0))])
    found = read(tmp_path / "x.tif", content, alpha="white")[0].astype(int)
    gray, opacity = rounded(values[:, :, 0]), rounded(values[:, :, 1])
    assert np.abs(found - (gray * opacity + 255 * (255 - opacity)) / 255).max() <= 1


def test_a_small_tiff_file_is_not_decompressed_to_very_much(tmp_path):
    content = bytearray(tiff(np.zeros((16, 16, 3)), compressed=True))
    for tag in (256, 257, 278):
        at = content.index(struct.pack("<HHI", tag, 4, 1)) + 8
        content[at : at + 4] = struct.pack("<I", 2400)
    with pytest.raises(ValueError, match="claims 138240000 bytes of values, too many for its"):
        read(tmp_path / "x.tif", bytes(content), value_range=(0, 1))
    for tag in (256, 257, 278):
        at = content.index(struct.pack("<HHI", tag, 4, 1)) + 8
        content[at : at + 4] = struct.pack("<I", 17)
    with pytest.raises(ValueError, match="it ends before its image"):
        read(tmp_path / "x.tif", bytes(content), 3, value_range=(0, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("highest", [100, 4095, 65535])
def test_values_of_ppm_files_are_those_that_are_stored(highest, channels, tmp_path):
    values = RNG.integers(0, highest + 1, (16, 16, channels))
    header = f"P{5 if channels == 1 else 6}\n# a comment\n16 16\n{highest}\n".encode()
    content = header + values.astype(">u2" if highest > 255 else "u1").tobytes()
    for value_range in (None, (3, highest / 2)):
        found = read(tmp_path / "x.ppm", content, channels, value_range=value_range)
        expected = rounded(values, *(value_range or (0, highest)))
        np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))
