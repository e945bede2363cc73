"""The decoder, compared with plain loops, with Pillow where all decoders agree; damaged files."""

import io
import struct

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset.celebahq import jpeg_pixels
from pgtf.dataset.celebahq.jpeg import decode
from pgtf.dataset.celebahq.jpeg_entropy import huffman

from .fixture import jpeg_bytes


def encoded(image, **options):
    """A JPEG file of uint8 [H, W, 3]."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def smooth(rng, height, width):
    """A picture with edges and noise: uint8 [H, W, 3]."""
    y, x = np.indices((height, width))
    picture = (
        127
        + 60 * np.sin(x / 9)[..., np.newaxis]
        + 60 * np.cos([y / 5, y / 7, y / 3]).T.swapaxes(0, 1)
    )
    picture[height // 3 :, width // 2 :] = rng.integers(0, 256, 3)
    return (picture + rng.normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)


SIZES = [(1, 1), (8, 8), (17, 9), (50, 67), (130, 200)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("quality", [5, 75, 100])
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_full_sampling_is_decoded_as_by_every_decoder(rng, height, width, quality, progressive):
    data = encoded(
        smooth(rng, height, width), quality=quality, subsampling=0, progressive=progressive
    )
    expected = np.asarray(PIL.Image.open(io.BytesIO(data)))
    assert (decode(data) == expected.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("restarts", [1, 3, 64])
@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_restart_markers_and_scans_change_no_pixel(rng, subsampling, progressive, restarts):
    image = smooth(rng, 75, 111)
    plain = encoded(image, quality=80, subsampling=subsampling)
    other = encoded(
        image,
        quality=80,
        subsampling=subsampling,
        progressive=progressive,
        restart_marker_blocks=restarts,
    )
    assert other != plain
    assert (decode(other) == decode(plain)).all()


def test_optimized_tables_and_rgb_files(rng):
    image = smooth(rng, 40, 30)
    plain = decode(encoded(image, quality=90, subsampling=2))
    assert (decode(encoded(image, quality=90, subsampling=2, optimize=True)) == plain).all()
    data = encoded(image, quality=90, keep_rgb=True)
    assert b"Adobe" in data
    expected = np.asarray(PIL.Image.open(io.BytesIO(data)))
    assert (decode(data) == expected.transpose(2, 0, 1)).all()


def plain_samples(coefficients, quantization, num_rows, num_columns):
    """Computes one block by the specification: zigzag [64] -> uint8 [num_rows, num_columns]."""
    order = sorted(((r, c) for r in range(8) for c in range(8)), key=zigzag_key)
    block = [[0] * 8 for _ in range(8)]
    for (row, column), value, factor in zip(order, coefficients, quantization, strict=True):
        block[row][column] = int(value) * int(factor)

    def matrix(n):
        half = [list(row) for row in jpeg_pixels.HALF_TRANSFORMS[n]]
        return half + [[-v if k % 2 else v for k, v in enumerate(row)] for row in half[::-1]]

    columns, rows = matrix(num_rows), matrix(num_columns)
    first = [
        [(sum(a * block[u][v] for u, a in enumerate(line)) + 2**10) >> 11 for v in range(8)]
        for line in columns
    ]
    result = []
    for line in first:
        values = [
            (sum(a * p for a, p in zip(row, line, strict=True)) + 2**17) >> 18 for row in rows
        ]
        result.append([limit(value % 1024) for value in values])
    return np.array(result, np.uint8)


def zigzag_key(place):
    row, column = place
    diagonal = row + column
    return diagonal, row if diagonal % 2 else column


def limit(k):
    if k < 128:
        return k + 128
    if k < 512:
        return 255
    return 0 if k < 896 else k - 896


@pytest.mark.parametrize("across", [(1, 1), (2, 1), (4, 1), (2, 2)])
@pytest.mark.parametrize("down", [(1, 1), (2, 1)])
@pytest.mark.parametrize("size", [40, 700, 32000], ids=["usual", "clipped", "absurd"])
def test_blocks_are_transformed_as_specified(rng, across, down, size):
    coefficients = rng.integers(-size, size, (2, 3, 64)).astype(np.int16)
    quantization = rng.integers(1, 60, 64)
    samples = jpeg_pixels.plane(coefficients, quantization, across, down)
    num_columns, num_rows = (
        16 if most % (2 * factor) == 0 else 8 for most, factor in (across, down)
    )
    repeats = across[0] * 8 // (across[1] * num_columns)
    expected = np.block(
        [
            [plain_samples(block, quantization, num_rows, num_columns) for block in line]
            for line in coefficients
        ]
    ).repeat(repeats, axis=1)
    assert (samples == expected).all()


def test_all_colours_are_converted_as_specified():
    def k(factor):
        return int(factor * 65536 + 0.5)

    cb, cr = (values.ravel() for values in np.indices((256, 256)))
    for y in (0, 1, 127, 255):
        luma = np.full_like(cb, y)
        red = luma + ((k(1.402) * (cr - 128) + 32768) >> 16)
        green = luma + ((-k(0.34414) * (cb - 128) - k(0.71414) * (cr - 128) + 32768) >> 16)
        blue = luma + ((k(1.772) * (cb - 128) + 32768) >> 16)
        expected = np.stack([red, green, blue]).clip(0, 255)
        planes = [plane.astype(np.uint8).reshape(256, 256) for plane in (luma, cb, cr)]
        assert (jpeg_pixels.rgb(planes).reshape(3, -1) == expected).all()


def with_marker(data, old, new):
    """The file with one marker changed."""
    at = data.index(bytes((0xFF, old)))
    return data[: at + 1] + bytes((new,)) + data[at + 2 :]


def with_frame(data, place, *values):
    """The file with bytes of its frame header changed, counted from the length on."""
    at = data.index(b"\xff\xc0") + 2 + place
    return data[:at] + bytes(values) + data[at + len(values) :]


@pytest.fixture
def data(rng):
    return encoded(smooth(rng, 40, 30), quality=90, subsampling=2)


REFUSED = {
    "text": (lambda data: b"not a picture", "not a JPEG file"),
    "empty": (lambda data: b"", "not a JPEG file"),
    "arithmetic": (lambda data: with_marker(data, 0xC0, 0xC9), "arithmetic"),
    "lossless": (lambda data: with_marker(data, 0xC0, 0xC3), "lossless"),
    "12 bits": (lambda data: with_frame(data, 2, 12), "8 bits per sample. Received: 12"),
    "no height": (lambda data: with_frame(data, 3, 0, 0), "Received: 30x0"),
    "huge": (lambda data: with_frame(data, 3, 255, 255, 255, 255), "Received: 65535x65535"),
    "sampling 0": (lambda data: with_frame(data, 9, 0), "sampling factor"),
    "sampling 3 and 2": (lambda data: with_frame(data, 9, 0x33, 1, 2, 0x22), "divide"),
    "no tables": (lambda data: with_marker(data, 0xC4, 0xE1), "Huffman table that is missing"),
    "no quantization": (lambda data: with_marker(data, 0xDB, 0xE1), "damaged"),
    "short header": (lambda data: data[:2] + b"\xff\xc0\x00\x05abc" + data[-2:], "damaged"),
    "cut in the header": (lambda data: data[:100], "truncated"),
    "cut in the data": (lambda data: data[:-100], "truncated"),
    "cut before the end": (lambda data: data[:-2], "truncated"),
    "cut, then ended": (lambda data: data[:-200] + b"\xff\xd9", "ends early"),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_decoded_is_named(data, spoil, message):
    with pytest.raises(ValueError, match=message) as error:
        decode(spoil(data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("mode", "name"), [("L", "grayscale"), ("CMYK", "CMYK")])
def test_other_colour_spaces_are_named(mode, name):
    buffer = io.BytesIO()
    PIL.Image.new(mode, (20, 20)).save(buffer, "JPEG")
    with pytest.raises(ValueError, match=name):
        decode(buffer.getvalue())


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_a_file_cut_anywhere_is_an_error(rng, progressive):
    data = encoded(smooth(rng, 30, 40), quality=70, progressive=progressive)
    for length in range(2, len(data), 7):
        with pytest.raises(ValueError, match="JPEG"):
            decode(data[:length])


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("restarts", [0, 2])
def test_changed_bytes_give_pixels_or_an_error(rng, progressive, restarts):
    data = encoded(
        smooth(rng, 24, 40), quality=70, progressive=progressive, restart_marker_blocks=restarts
    )
    outcomes = set()
    for _ in range(120):
        changed = bytearray(data)
        for place in rng.integers(2, len(data), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        try:
            outcomes.add(decode(bytes(changed)).ndim)
        except ValueError:
            outcomes.add("error")
    assert outcomes == {3, "error"}


def test_a_huffman_code_that_overflows_is_an_error():
    with pytest.raises(ValueError, match="Huffman table is impossible"):
        huffman(struct.pack("16B", 3, *[0] * 15), b"abc")


def test_exif_rotation_and_trailing_bytes_are_ignored():
    data = jpeg_bytes(4)
    assert b"Exif" in data
    assert (decode(data + b"behind the end") == decode(data)).all()
