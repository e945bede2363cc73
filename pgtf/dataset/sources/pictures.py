"""Image files of any kind -> uint8 arrays of one shape."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import struct
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageCms

from pgtf.foreign.pictures import open_picture, orientation
from pgtf.foreign.pictures import reason as reason  # for callers that read pictures here

Transform = Literal["none", "center-crop", "pad", "resize"]
Alpha = Literal["error", "drop", "white", "black"]

PLAIN_MODES = {"L": 1, "RGB": 3}  # mode that the original accepts -> channels
UINT16_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow 12 opens 16-bit gray as I;16
ROUNDING = 32895  # rounds (x * 255 + it) >> 16 to the nearest for x of 16 bits
# Signature, length and name of IHDR; then width, height, bits, color type, 2 methods, interlacing.
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
FILE_ERRORS = (OSError, ValueError)  # `pgtf.foreign.pictures.reason` makes one line of them
STRIP = 1 << 20  # values converted at a time
# EXIF orientation -> what makes the picture upright.
TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Conversion of files to images [channels, resolution, resolution]."""

    channels: int
    resolution: int
    transform: Transform = "none"
    alpha: Alpha = "error"  # treatment of transparent images
    strict: bool = True  # accept only plain RGB and gray, change nothing, as the original

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, R, R] of the images."""
        return self.channels, self.resolution, self.resolution


def read_picture(path: str, conversion: Conversion) -> np.ndarray:
    """Reads one file: -> uint8 [C, R, R].

    Raises:
        ValueError, OSError: the file cannot be used; `reason` makes one line of it.
    """
    if conversion.strict and (pixels := _read_plain_png(path, conversion)) is not None:
        return pixels
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        raise ValueError("the file is empty")
    with open_picture(path) as file:
        if conversion.strict:
            _check_shape(file.mode, file.size, conversion)  # before it is decoded
            return to_pixels(file, conversion)
        return to_pixels(normalize(file, conversion), conversion)


def _check_shape(mode: str, size: tuple[int, int], conversion: Conversion) -> None:
    """Raises ValueError if a picture is not RGB or gray, or not of the wanted shape."""
    if mode not in PLAIN_MODES:
        raise ValueError(
            f"must be stored as RGB or grayscale, found {mode}; "
            "--channels=3 or --channels=1 converts"
        )
    found, wanted = (PLAIN_MODES[mode], *size[::-1]), conversion.shape
    if found != wanted:
        kind = {1: "grayscale", 3: "RGB"}
        raise ValueError(
            f"must be {wanted[2]}x{wanted[1]} {kind[wanted[0]]} like the others, "
            f"found {found[2]}x{found[1]} {kind[found[0]]}; "
            "--resolution, --transform and --channels convert"
        )


def to_pixels(picture: PIL.Image.Image, conversion: Conversion) -> np.ndarray:
    """RGB or gray -> uint8 [C, R, R]; ValueError if its shape is another."""
    _check_shape(picture.mode, picture.size, conversion)
    pixels = np.asarray(picture)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def normalize(picture: PIL.Image.Image, conversion: Conversion) -> PIL.Image.Image:
    """Makes a picture upright, sRGB or gray, opaque, and fits it to the resolution."""
    picture = to_plain(picture, conversion.alpha)
    picture = converted(picture, "L" if conversion.channels == 1 else "RGB")
    return fit(picture, conversion.resolution, conversion.transform)


def to_plain(picture: PIL.Image.Image, alpha: Alpha) -> PIL.Image.Image:
    """Makes a picture upright, 8-bit, opaque, and sRGB if it has a color profile.

    Raises:
        ValueError: it is transparent and `alpha` is "error", or its range is not known.
    """
    return _flatten(to_srgb(_to_8_bits(_upright(picture))), alpha)


def converted(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Converts a picture to a mode; Pillow would copy one that has it already."""
    return picture if picture.mode == mode else picture.convert(mode)


def _upright(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Turns a picture as its EXIF orientation says."""
    picture.load()  # Some files have their EXIF data after their pixels.
    turn = TURNS.get(orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def to_srgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Converts the colors of a picture with an embedded ICC profile to sRGB."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    # Ignore a broken profile, and a color profile of a gray picture.
    with contextlib.suppress(PIL.ImageCms.PyCMSError, OSError):
        source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        colors = picture.convert(picture.mode[:-1]) if alpha else picture
        plain = PIL.ImageCms.profileToProfile(
            colors, source, PIL.ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        if plain is not None:
            if alpha:
                plain.putalpha(alpha)
            return plain
    return picture


def fit(picture: PIL.Image.Image, resolution: int, transform: Transform) -> PIL.Image.Image:
    """Makes a picture resolution x resolution by the given transform."""
    width, height = picture.size
    if (width, height) == (resolution, resolution) or transform == "none":
        return picture
    short, long = min(width, height), max(width, height)
    if transform == "center-crop":
        left, top = (width - short) // 2, (height - short) // 2
        picture = picture.crop((left, top, left + short, top + short))
    elif transform == "pad":
        # Resize first: the square around a panorama may not fit in memory.
        inner = tuple(max(round(side * resolution / long), 1) for side in (width, height))
        picture = picture.resize((inner[0], inner[1]), PIL.Image.Resampling.LANCZOS)
        square = PIL.Image.new(picture.mode, (resolution, resolution))  # black
        square.paste(picture, ((resolution - inner[0]) // 2, (resolution - inner[1]) // 2))
        return square
    return picture.resize((resolution, resolution), PIL.Image.Resampling.LANCZOS)


def _to_8_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Converts other bit depths and palettes to L, LA, RGB, RGBA or CMYK."""
    if picture.mode in UINT16_MODES:
        plain = PIL.Image.fromarray(_from_16_bits(np.asarray(picture)))
    elif picture.mode == "F":
        raise ValueError("floating-point images have no known range")
    elif picture.has_transparency_data and picture.mode != "LA":
        plain = converted(picture, "RGBA")
    elif picture.mode in ("L", "LA", "RGB", "CMYK"):
        return picture
    else:
        plain = picture.convert("L" if picture.mode == "1" else "RGB")
    if profile := picture.info.get("icc_profile"):
        plain.info["icc_profile"] = profile
    return plain


def _from_16_bits(values: np.ndarray) -> np.ndarray:
    """Rounds values of 0 to 65535 to 8 bits: int [H, W] -> uint8 [H, W]."""
    result = np.empty(values.shape, np.uint8)
    step = max(STRIP // values.shape[1], 1)
    for start in range(0, len(values), step):
        rows = values[start : start + step].clip(0, 65535).astype(np.uint32)
        result[start : start + step] = (rows * 255 + ROUNDING) >> 16  # values / 257, exactly
    return result


def _flatten(picture: PIL.Image.Image, alpha: Alpha) -> PIL.Image.Image:
    """Removes the alpha channel."""
    if picture.mode not in ("LA", "RGBA"):
        return picture
    opacity = picture.getchannel("A")
    if alpha == "drop" or opacity.getextrema()[0] == 255:
        return picture.convert("RGB" if picture.mode == "RGBA" else "L")
    if alpha == "error":
        raise ValueError("is transparent; --alpha=white, black or drop says what to do")
    colors = picture.convert("RGB")
    flat = PIL.Image.new("RGB", picture.size, alpha)
    flat.paste(colors, mask=opacity)
    return flat


def _read_plain_png(path: str, conversion: Conversion) -> np.ndarray | None:
    """Reads an 8-bit PNG of the right shape several times as fast as Pillow: -> [C, H, W].

    Returns None if the file is anything else, or damaged, or kornia_rs is not installed: Pillow
    then reads it, or reports the error. Compares the checksums of chunks, but not that of the
    compressed stream inside them.
    """
    side, color = conversion.resolution, {1: 0, 3: 2}[conversion.channels]
    # Compare the size before decoding: another one may not fit in memory.
    head = PNG_HEAD + struct.pack(">IIBBBBB", side, side, 8, color, 0, 0, 0)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # Do not wait for a pipe.
    try:
        if os.read(descriptor, len(head)) != head:
            return None
    finally:
        os.close(descriptor)
    with contextlib.suppress(Exception):
        from kornia_rs.io import read_image_png_u8

        pixels: np.ndarray = read_image_png_u8(path, "rgb" if color else "mono")
        return pixels.transpose(2, 0, 1)
    return None
