"""Exact values of pictures with more than 8 bits per sample; Pillow cuts those of colors."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import IO

import numpy as np
import PIL.Image
import PIL.ImageFile

# Keys in a picture's `info`: of a function that returns its Samples, and of one that sets or checks
# its pixels of 8 bits.
READER, LOADER = "pgtf-samples", "pgtf-loader"
UINT16_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow 12 opens 16-bit gray as I;16
UINT16_MAX = 65535
ROUNDING = 32895  # rounds (x * 255 + it) >> 16 to the nearest for x of 16 bits
STRIP = 1 << 20  # values converted at a time
# Color types of PNG.
GRAY, COLOR, GRAY_ALPHA, COLOR_ALPHA = 0, 2, 4, 6


@dataclasses.dataclass(frozen=True)
class Samples:
    """Values of a picture as they are stored."""

    values: np.ndarray  # gray [H, W] or RGB [H, W, 3], of any type of number
    highest: int | None  # value of full light, 0 = none; None = the type of number does not tell
    opacity: np.ndarray | None = None  # uint8 [H, W]
    is_inverted: bool = False  # low values are light


Reader = Callable[[PIL.Image.Image], Samples | None]


def is_deep(picture: PIL.Image.Image) -> bool:
    """True for a picture with more than 8 bits per value, without decoding it."""
    return READER in picture.info or picture.mode in (*UINT16_MODES, "F")


def samples(picture: PIL.Image.Image) -> Samples | None:
    """Decodes a picture that `pgtf.foreign.pictures` opened; None if 8 bits per value are all."""
    if (loader := picture.info.pop(LOADER, None)) is not None:
        loader(picture)
    reader: Reader | None = picture.info.pop(READER, None)
    if reader is not None and (found := reader(picture)) is not None:
        return found
    if picture.mode in UINT16_MODES:
        return Samples(np.asarray(picture), UINT16_MAX)
    return Samples(np.asarray(picture), None) if picture.mode == "F" else None


def round_16_bits(values: np.ndarray) -> np.ndarray:
    """Rounds values of 0 to 65535 to 8 bits: int [H, ...] -> uint8 [H, ...]."""
    result = np.empty(values.shape, np.uint8)
    step = max(STRIP // max(values[0].size, 1), 1)
    for start in range(0, len(values), step):
        rows = values[start : start + step].clip(0, UINT16_MAX).astype(np.uint32)
        result[start : start + step] = (rows * 255 + ROUNDING) >> 16  # values / 257, exactly
    return result


def prepare_png(picture: PIL.Image.Image, file: IO[bytes], bits: int, color: int) -> None:
    """Makes `samples` and the transparent value of a PNG file exact.

    Args:
        picture: as Pillow opened it.
        file: the file, which stays open while the picture is used.
        bits: per sample, from the header.
        color: type of color, from the header.
    """
    key = picture.info.get("transparency")
    if bits == 16:
        picture.info[READER] = functools.partial(_read_png, file=file, color=color, key=key)
    elif isinstance(key, int) and color == GRAY:
        # Pillow scales pixels to 8 bits, but not the value that it compares them with, unless there
        # is a single bit and Pillow is new.
        most = (1 << bits) - 1
        picture.info["transparency"] = (key & most) * (255 // most)
    elif isinstance(key, tuple):
        picture.info["transparency"] = tuple(value & 255 for value in key)


def _read_png(
    picture: PIL.Image.Image,
    file: IO[bytes],
    color: int,
    key: int | tuple[int, ...] | None,
) -> Samples:
    """Reads 16 bits per sample."""
    opacity = None
    if color == GRAY:
        values = np.asarray(picture)
    elif color == GRAY_ALPHA:
        # Pillow has no mode for this; four bytes per pixel are read as RGBA.
        tiles = picture.tile  # type: ignore[attr-defined]
        picture.tile = [tile._replace(args="RGBA") for tile in tiles]  # type: ignore[attr-defined]
        pairs = np.asarray(picture).view(">u2")
        values, opacity = pairs[:, :, 0], round_16_bits(pairs[:, :, 1])
    else:
        values = np.asarray(picture).astype(np.uint16) << 8
        values |= _low_bytes(file)
        if color == COLOR_ALPHA:
            values, opacity = values[:, :, :3], round_16_bits(values[:, :, 3])
    if key is not None and color in (GRAY, COLOR):
        is_key = values == np.asarray(key, np.uint16)
        opacity = np.where(is_key if color == GRAY else is_key.all(axis=2), 0, 255).astype(np.uint8)
    return Samples(values, UINT16_MAX, opacity)


def prepare_ppm(picture: PIL.Image.Image, file: IO[bytes]) -> None:
    """Makes `samples` of a binary PGM or PPM file exact, whose values do not end at 255 or 65535.

    Pillow stretches them to 8 or 16 bits.

    Args:
        picture: as Pillow opened it.
        file: the file, which stays open while the picture is used.
    """
    tile = picture.tile[0]  # type: ignore[attr-defined]
    if tile.codec_name == "ppm":
        start, highest = tile.offset, tile.args[-1]
        picture.info[READER] = functools.partial(_read_ppm, file=file, start=start, highest=highest)


def _read_ppm(picture: PIL.Image.Image, file: IO[bytes], start: int, highest: int) -> Samples:
    """Reads values of 0 to `highest`."""
    dtype = np.dtype(">u2" if highest > 255 else "u1")
    shape = (picture.height, picture.width, 3)[: 3 if picture.mode == "RGB" else 2]
    file.seek(start)
    content = file.read(int(np.prod(shape)) * dtype.itemsize)
    if len(content) < np.prod(shape) * dtype.itemsize:
        raise ValueError("damaged: it ends before its image")
    values = np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return Samples(values.clip(max=highest), highest)


def _low_bytes(file: IO[bytes]) -> np.ndarray:
    """Decodes the less significant bytes of colors, whose samples Pillow cuts to 8 bits.

    Pillow takes the first byte of each pair of big-endian samples, and the second one of
    little-endian ones: told the wrong order, it takes the other byte.
    """
    file.seek(0)
    with PIL.Image.open(file, formats=["PNG"]) as again:
        again.tile = [
            tile._replace(args=str(tile.args).replace(";16B", ";16L")) for tile in again.tile
        ]
        return np.asarray(again)
