"""Exact values of TIFF files, also of those that Pillow cannot open or reads wrongly."""

from __future__ import annotations

import functools
import io

import numpy as np
import PIL.Image

from pgtf.foreign import tiff
from pgtf.foreign.jpeg import decode_jpeg
from pgtf.foreign.limits import DEEP, MAX_PIXELS, UnreadableKind, check_size
from pgtf.foreign.samples import LOADER, READER, Samples, round_16_bits
from pgtf.foreign.tiff_blocks import (
    NUM_SAMPLES,
    PLANES,
    SEPARATE,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_OFFSETS,
    Layout,
    check_bytes,
    layout_of,
    read_values,
)
from pgtf.foreign.tiff_pages import Plain

EXTRA, JPEG_TABLES, PROFILE = 338, 347, 34675  # tags
NO_OPACITY, PREMULTIPLIED, OPACITY = 0, 1, 2  # values of EXTRA
CMYK = "CMYK"
# Value of PHOTOMETRIC -> Pillow's name of its colors, with a letter per channel.
COLORS = {tiff.WHITE_IS_ZERO: "L", tiff.BLACK_IS_ZERO: "L", 2: "RGB", 5: CMYK}
JPEG = 7  # value of COMPRESSION
NAMES = {tiff.UNSIGNED: "unsigned", tiff.SIGNED: "signed", tiff.FLOAT: "floating-point"}


def open_tiff(plain: Plain, num_bytes: int, max_pixels: int = MAX_PIXELS) -> PIL.Image.Image:
    """Opens a page of a TIFF file.

    Args:
        plain: the page.
        num_bytes: size of the file.
        max_pixels: largest number of pixels.

    Raises:
        PIL.UnidentifiedImageError: it is no TIFF file.
        ValueError: its samples are of a kind that cannot be read, or too many.
    """
    found = tiff.read_directory(plain.content)
    is_deep = plain.bits > 8 or plain.sample_format != tiff.UNSIGNED
    is_separate = found.integer(PLANES, 1) == SEPARATE  # Pillow mixes up some of their planes.
    layout = _layout(plain, found) if is_deep or is_separate else None
    compression = found.integer(tiff.COMPRESSION, 1)
    if layout is None:
        if (
            is_separate
            and compression != JPEG
            and found.first_of(plain.content, NUM_SAMPLES, 1) > 1
        ):
            raise _unreadable(plain, found)
        try:
            picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(plain.content), formats=["TIFF"])
        except PIL.UnidentifiedImageError:
            raise _unreadable(plain, found) from None
        if compression == JPEG:
            picture.info[LOADER] = functools.partial(_check_jpeg, plain=plain)
        return picture
    size = layout.width, layout.height
    check_size(size, num_bytes, DEEP, max_pixels)
    if max_pixels == MAX_PIXELS:
        check_bytes(layout, num_bytes)
    mode = _mode(plain, found, layout)
    picture = PIL.Image.new(mode, size, None)
    picture.format = "TIFF"
    if mode == CMYK or layout.dtype == np.uint8:
        picture.info[LOADER] = functools.partial(_load_tiff, plain=plain, layout=layout)
    else:
        picture.info[READER] = functools.partial(_read_tiff, plain=plain, layout=layout)
    for entry in found.entries:
        if entry.tag == PROFILE:
            data, at = found.data_of(entry, plain.content)
            picture.info["icc_profile"] = data[at : at + entry.count]
    return picture


def _mode(plain: Plain, found: tiff.Directory, layout: Layout) -> str:
    """Pillow's name of a kind of picture, by which callers tell gray from color."""
    name = COLORS[found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)]
    if _opacity(plain, found) != NO_OPACITY:
        return {"L": "LA", "RGB": "RGBA"}.get(name, name)
    if name == "L" and layout.dtype != np.uint8:
        return "I;16" if layout.dtype == np.uint16 else "F"
    return name


def _opacity(plain: Plain, found: tiff.Directory) -> int:
    """Meaning of the channel after those of the picture: NO_OPACITY, also of others, or opacity."""
    kind = found.first_of(plain.content, EXTRA, NO_OPACITY)
    colors = COLORS[found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)]
    has_more = found.first_of(plain.content, NUM_SAMPLES, 1) > len(colors)
    return kind if has_more and kind in (PREMULTIPLIED, OPACITY) else NO_OPACITY


def _layout(plain: Plain, found: tiff.Directory) -> Layout | None:
    """Layout of a gray, RGB or CMYK picture whose samples are read here; None for any other."""
    layout = layout_of(plain.content, found)
    colors = COLORS.get(found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO))
    if layout is None or colors is None:
        return None
    extra = layout.channels - len(colors)
    if extra not in (0, 1) or (_opacity(plain, found) != NO_OPACITY and layout.kind != "u"):
        return None
    is_8_or_16 = layout.dtype in (np.uint8, np.uint16) and plain.bits in (8, 16)
    return layout if colors != CMYK or (is_8_or_16 and not extra) else None


def _unreadable(plain: Plain, found: tiff.Directory) -> Exception:
    """The error for a TIFF file that neither Pillow nor `_read_tiff` reads."""
    size = found.integer(tiff.WIDTH, 0), found.integer(tiff.HEIGHT, 0)
    if min(size) < 1:
        return PIL.UnidentifiedImageError("not a picture")
    kind = NAMES.get(plain.sample_format, "other")
    return UnreadableKind(
        f"TIFF file of a kind that cannot be read ({found.first_of(plain.content, NUM_SAMPLES, 1)} "
        f"channels of {plain.bits} {kind} bits, photometric "
        f"{found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)}, compression "
        f"{found.integer(tiff.COMPRESSION, 1)}); convert it to PNG, or to gray or RGB without "
        "compression"
    )


def _load_tiff(picture: PIL.Image.Image, plain: Plain, layout: Layout) -> None:
    """Sets the pixels of a picture of 8 bits per sample, or of CMYK."""
    found = _read_tiff(picture, plain, layout)
    values = found.values if found.values.dtype == np.uint8 else round_16_bits(found.values)
    if found.is_inverted:
        values = ~values
    if found.opacity is not None:
        values = np.dstack([values, found.opacity])
    picture.im = PIL.Image.frombytes(picture.mode, picture.size, values.tobytes()).im


def _read_tiff(picture: PIL.Image.Image, plain: Plain, layout: Layout) -> Samples:
    """Reads samples of any type of number."""
    found = tiff.read_directory(plain.content)
    values = read_values(plain.content, found, layout)
    opacity = None
    photometric = found.integer(tiff.PHOTOMETRIC, tiff.BLACK_IS_ZERO)
    kind = _opacity(plain, found)
    if layout.channels > len(COLORS[photometric]):
        values, last = values[:, :, :-1], values[:, :, -1]
        if kind != NO_OPACITY:
            highest = (1 << plain.bits) - 1
            if kind == PREMULTIPLIED:
                values = _divided(values, last, highest)
            opacity = np.rint(last.astype(np.float64) * 255 / highest).astype(np.uint8)
    values = values[:, :, 0] if values.shape[2] == 1 else values
    is_inverted = plain.is_inverted or photometric == tiff.WHITE_IS_ZERO
    return Samples(values, _highest(plain), opacity, is_inverted)


def _divided(values: np.ndarray, opacity: np.ndarray, highest: int) -> np.ndarray:
    """Undoes the multiplication of colors with their opacity."""
    share = np.maximum(opacity, 1).astype(np.float64)[:, :, np.newaxis] / highest
    return np.rint((values / share).clip(0, highest)).astype(values.dtype)


def _highest(plain: Plain) -> int | None:
    """Value of full light, if the type of number tells."""
    is_known = plain.sample_format == tiff.UNSIGNED and plain.bits <= 16
    return (1 << plain.bits) - 1 if is_known else None


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
