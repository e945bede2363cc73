"""Exact values of TIFF files, also of those that Pillow cannot open or reads wrongly."""

from __future__ import annotations

import functools
import io
import sys
import zlib

import numpy as np
import PIL.Image

from pgtf.foreign import tiff
from pgtf.foreign.jpeg import decode_jpeg
from pgtf.foreign.limits import DEEP, MAX_PIXELS, check_size
from pgtf.foreign.samples import READER, UINT16_MODES, Samples, low_bytes, round_16_bits
from pgtf.foreign.tiff_pages import ROWS_PER_STRIP, Plain

STRIP_OFFSETS, STRIP_BYTES, NUM_SAMPLES, PLANES = 273, 279, 277, 284  # tags
PREDICTOR, TILE_OFFSETS, TILE_BYTES, EXTRA, JPEG_TABLES = 317, 324, 325, 338, 347
SEPARATE = 2  # value of PLANES
NO_OPACITY, OPACITY = 0, 2  # values of EXTRA
RGB = 2  # value of PHOTOMETRIC
NONE, JPEG, DEFLATE = 1, 7, (8, 32946)  # values of COMPRESSION
FREE_BYTES, BYTES_PER_BYTE = 1 << 27, 16  # that any file, and a larger one, may decompress to
KINDS = {tiff.UNSIGNED: "u", tiff.SIGNED: "i", tiff.FLOAT: "f"}  # of NumPy
# Pillow's names of numbers of a TIFF file, as libtiff hands them over.
NATIVE = (
    {"I;16BS": "I;16S", "I;32BS": "I;32S", "F;32BF": "F;32F"}
    if sys.byteorder == "little"
    else {"I;16S": "I;16BS", "I;32S": "I;32BS", "F;32F": "F;32BF"}
)


def open_tiff(plain: Plain, num_bytes: int, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """Opens a page of a TIFF file.

    Args:
        plain: the page.
        num_bytes: size of the file.
        max_pixels: largest number of pixels.

    Raises:
        PIL.UnidentifiedImageError: its samples are of a kind that cannot be read.
        ValueError: it has too many pixels.
    """
    try:
        picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(plain.content), formats=["TIFF"])
    except PIL.UnidentifiedImageError:
        found = tiff.read_directory(plain.content)
        size = found.integer(tiff.WIDTH, 0), found.integer(tiff.HEIGHT, 0)
        layout = _layout(plain, found)
        if layout is None or min(size) < 1:
            raise
        check_size(size, num_bytes, DEEP, max_pixels)
        _check_bytes(layout, size, num_bytes)
        is_gray = found.first_of(plain.content, NUM_SAMPLES, 1) < 3
        picture = PIL.Image.new("F" if is_gray else "RGB", size)
        picture.format = "TIFF"
        picture.info[READER] = functools.partial(_read_strips, plain=plain)
        return picture
    _prepare(picture, plain)
    return picture


def _check_bytes(
    layout: tuple[np.dtype[np.generic], int], size: tuple[int, int], num_bytes: int
) -> None:
    """Refuses a small file that would be decompressed to very much."""
    decompressed = layout[0].itemsize * layout[1] * size[0] * size[1]
    if decompressed > max(FREE_BYTES, BYTES_PER_BYTE * num_bytes):
        raise ValueError(f"claims {decompressed} bytes of values, too many for its {num_bytes}")


def _layout(plain: Plain, found: tiff.Directory) -> tuple[np.dtype[np.generic], int] | None:
    """Type and number of the samples of a pixel; None if `_read_strips` cannot read them."""
    channels = found.first_of(plain.content, NUM_SAMPLES, 1)
    is_rgb = found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO) == RGB
    extra = channels - (3 if is_rgb else 1)
    kinds = (NO_OPACITY, OPACITY) if plain.sample_format == tiff.UNSIGNED else (NO_OPACITY,)
    if (
        found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO) not in (tiff.BLACK_IS_ZERO, RGB)
        or found.integer(tiff.COMPRESSION, NONE) not in (NONE, *DEFLATE)
        or found.integer(PREDICTOR, 1) != 1
        or not found.numbers(plain.content, STRIP_OFFSETS)
        or plain.sample_format not in KINDS
        or extra not in (0, 1)
        or (extra and found.integer(EXTRA, NO_OPACITY) not in kinds)
    ):
        return None
    try:
        kind = f"{found.order}{KINDS[plain.sample_format]}{plain.bits / 8:g}"
        return np.dtype(kind), channels
    except TypeError:
        return None


def _read_strips(picture: PIL.Image.Image, plain: Plain) -> Samples | None:
    """Reads strips of any type of number, without compression or with deflate."""
    found = tiff.read_directory(plain.content)
    layout = _layout(plain, found)
    if layout is None:
        return None
    dtype, channels = layout
    width, height = found.integer(tiff.WIDTH, 0), found.integer(tiff.HEIGHT, 0)
    is_separate = found.integer(PLANES, 1) == SEPARATE
    row = width * dtype.itemsize * (1 if is_separate else channels)
    step = min(found.integer(ROWS_PER_STRIP, height), height) or height
    places = found.numbers(plain.content, STRIP_OFFSETS)
    num_strips = -(-height // step)  # of a plane
    sizes = found.numbers(plain.content, STRIP_BYTES)
    is_packed = found.integer(tiff.COMPRESSION, NONE) != NONE
    data = bytearray()
    for number, (place, size) in enumerate(zip(places, sizes or places, strict=False)):
        wanted = row * min(step, height - number % num_strips * step)
        if is_packed:
            packed = plain.content[place : place + size]
            data += zlib.decompressobj().decompress(packed, max(wanted, 1))
        else:
            data += plain.content[place : place + wanted]
    if len(data) != width * height * channels * dtype.itemsize:
        raise ValueError("damaged: it ends before its image")
    shape = (channels, height, width) if is_separate else (height, width, channels)
    values = np.frombuffer(data, dtype).reshape(shape)
    values = values.transpose(1, 2, 0) if is_separate else values
    opacity = None
    if channels in (2, 4):
        if found.integer(EXTRA, NO_OPACITY) == OPACITY:
            opacity = _to_opacity(values[:, :, -1], (1 << plain.bits) - 1)
        values = values[:, :, :-1]
    values = values[:, :, 0] if values.shape[2] == 1 else values
    return Samples(values, _highest(plain), opacity, plain.is_inverted)


def _to_opacity(values: np.ndarray, highest: int) -> np.ndarray:
    return np.rint(values.astype(np.float64) * 255 / highest).astype(np.uint8)


def _highest(plain: Plain) -> int | None:
    """Value of full light, if the type of number tells."""
    is_known = plain.sample_format == tiff.UNSIGNED and plain.bits <= 16
    return (1 << plain.bits) - 1 if is_known else None


def _prepare(picture: PIL.Image.Image, plain: Plain) -> None:
    """Makes `samples` of a TIFF file exact."""
    if plain.bits > 8 or (plain.bits == 8 and plain.sample_format == tiff.SIGNED):
        picture.info[READER] = functools.partial(_read_tiff, plain=plain)
    elif tiff.read_directory(plain.content).integer(tiff.COMPRESSION, NONE) == JPEG:
        picture.info[READER] = functools.partial(_check_jpeg, plain=plain)
    # libtiff decompresses to the order of this machine, but Pillow expects that of the file.
    picture.tile = [  # type: ignore[attr-defined]
        tile._replace(args=(NATIVE[tile.args[0]], *tile.args[1:]))
        if tile.codec_name == "libtiff" and tile.args[0] in NATIVE
        else tile
        for tile in picture.tile  # type: ignore[attr-defined]
    ]


def _check_jpeg(picture: PIL.Image.Image, plain: Plain) -> None:
    """Refuses strips and tiles of damaged JPEG data; libtiff decodes them to gray.

    Raises:
        ValueError: the data are damaged.
    """
    content = plain.content
    found = tiff.read_directory(content)
    tables = b"".join(
        data[at : at + entry.count]
        for entry in found.entries
        if entry.tag == JPEG_TABLES
        for data, at in [found.data_of(entry, content)]
    )
    for starts, sizes in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)):
        parts = found.numbers(content, starts), found.numbers(content, sizes)
        if sum(parts[1]) > len(content):  # They overlap, so there may be very many.
            return
        for place, size in zip(*parts, strict=False):
            part = content[place : place + size]
            whole = tables[:-2] + part[2:] if tables else part
            channels = found.first_of(content, NUM_SAMPLES, 1)
            if found.integer(PLANES, 1) == SEPARATE:
                channels = 1
            if mode := {1: "L", 3: "RGB", 4: "CMYK"}.get(channels):
                decode_jpeg(whole, mode)


def _read_tiff(picture: PIL.Image.Image, plain: Plain) -> Samples | None:
    is_unsigned = plain.sample_format == tiff.UNSIGNED
    opacity = None
    if picture.mode in ("RGB", "RGBA") and plain.bits == 16:
        if tiff.read_directory(plain.content).integer(PLANES, 1) == SEPARATE:  # Pillow: garbage
            if (found := _read_strips(picture, plain)) is not None:
                return found
        values = np.asarray(picture).astype(np.uint16) << 8
        values |= low_bytes(io.BytesIO(plain.content), "TIFF")
        if picture.mode == "RGBA":
            values, opacity = values[:, :, :3], round_16_bits(values[:, :, 3])
    elif picture.mode in (*UINT16_MODES, "F", "L"):
        values = np.asarray(picture)
        if picture.mode == "L":
            values = values.view(np.int8)
        elif is_unsigned and values.dtype == np.int32:
            values = values.view(np.uint32)
        elif plain.bits == 16 and plain.sample_format == tiff.SIGNED:
            values = values.astype(np.int16)
    else:
        return None
    return Samples(values, _highest(plain), opacity, plain.is_inverted)
