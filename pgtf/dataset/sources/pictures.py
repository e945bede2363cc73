"""Image files of any kind -> uint8 arrays of one shape."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import struct
import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps

Transform = Literal["none", "center-crop", "pad", "resize"]
Alpha = Literal["error", "drop", "white", "black"]

PLAIN_MODES = {"L": 1, "RGB": 3}  # mode that the original accepts -> channels
UINT16_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow 12 opens 16-bit gray as I;16
UINT16_TO_UINT8 = 257  # 65535 / 255
# Signature, length and name of IHDR; then width, height, bits, color type, 2 methods, interlacing.
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# Pillow raises all of these for damaged files and files that are not images.
FILE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,
    struct.error,
    PIL.Image.DecompressionBombError,
)


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


@contextlib.contextmanager
def open_picture(path: str) -> Iterator[PIL.Image.Image]:
    """Opens an image file without showing Pillow's warnings about files that it can read.

    Raises:
        ValueError, OSError and others (FILE_ERRORS): `reason` makes one line of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PIL.Image.open(path) as picture:
            yield picture


def read_picture(path: str, conversion: Conversion) -> np.ndarray:
    """Reads one file: -> uint8 [C, R, R].

    Raises:
        ValueError, OSError and others (FILE_ERRORS): `reason` makes one line of them.
    """
    if conversion.strict and (pixels := _read_plain_png(path, conversion)) is not None:
        return pixels
    if os.path.getsize(path) == 0:
        raise ValueError("the file is empty")
    with open_picture(path) as file:
        picture = file if conversion.strict else normalize(file, conversion)
        if PLAIN_MODES.get(picture.mode) is None:
            raise ValueError(
                f"must be stored as RGB or grayscale, found {picture.mode}; "
                "--channels=3 or --channels=1 converts"
            )
        return to_pixels(picture, conversion)


def to_pixels(picture: PIL.Image.Image, conversion: Conversion) -> np.ndarray:
    """RGB or gray -> uint8 [C, R, R]; ValueError if its shape is another."""
    pixels = np.asarray(picture)
    pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if pixels.shape != conversion.shape:
        kind = {1: "grayscale", 3: "RGB"}
        found, wanted = pixels.shape, conversion.shape
        raise ValueError(
            f"must be {wanted[2]}x{wanted[1]} {kind[wanted[0]]} like the others, "
            f"found {found[2]}x{found[1]} {kind[found[0]]}; "
            "--resolution, --transform and --channels convert"
        )
    return pixels


def normalize(picture: PIL.Image.Image, conversion: Conversion) -> PIL.Image.Image:
    """Makes a picture upright, sRGB or gray, opaque, and fits it to the resolution."""
    picture = to_plain(picture, conversion.alpha)
    picture = picture.convert("L" if conversion.channels == 1 else "RGB")
    return fit(picture, conversion.resolution, conversion.transform)


def to_plain(picture: PIL.Image.Image, alpha: Alpha) -> PIL.Image.Image:
    """Makes a picture upright, 8-bit, opaque, and sRGB if it has a color profile.

    Raises:
        ValueError: it is transparent and `alpha` is "error", or its range is not known.
    """
    picture = PIL.ImageOps.exif_transpose(picture)
    return _flatten(to_srgb(_to_8_bits(picture)), alpha)


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
        converted = PIL.ImageCms.profileToProfile(
            colors, source, PIL.ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        if converted is not None:
            if alpha:
                converted.putalpha(alpha)
            return converted
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


def reason(error: Exception) -> str:
    """Describes in one line, without the file's name, why it could not be read."""
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image, or of a kind that cannot be read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _to_8_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Converts other bit depths and palettes to L, LA, RGB, RGBA or CMYK."""
    if picture.mode in UINT16_MODES:
        values = np.asarray(picture).astype(np.float64)
        values = np.rint(values / UINT16_TO_UINT8).clip(0, 255).astype(np.uint8)
        converted = PIL.Image.fromarray(values)
    elif picture.mode == "F":
        raise ValueError("floating-point images have no known range")
    elif picture.has_transparency_data and picture.mode != "LA":
        converted = picture.convert("RGBA")
    elif picture.mode in ("L", "LA", "RGB", "CMYK"):
        return picture
    else:
        converted = picture.convert("L" if picture.mode == "1" else "RGB")
    if profile := picture.info.get("icc_profile"):
        converted.info["icc_profile"] = profile
    return converted


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
    with open(path, "rb") as file:
        if file.read(len(head)) != head:
            return None
    with contextlib.suppress(Exception):
        from kornia_rs.io import read_image_png_u8

        pixels: np.ndarray = read_image_png_u8(path, "rgb" if color else "mono")
        return pixels.transpose(2, 0, 1)
    return None
