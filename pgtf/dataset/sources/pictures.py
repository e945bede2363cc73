"""Image files of any kind -> uint8 arrays of one shape."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageCms

from pgtf.dataset.description import DTYPE, PAPER_GRID
from pgtf.dataset.sources.plain_png import read_plain_png
from pgtf.dataset.sources.ranges import Range, to_8_bits
from pgtf.foreign.pictures import open_picture, orientation
from pgtf.foreign.pictures import reason as reason  # for callers that read pictures here
from pgtf.foreign.samples import LOADER, READER, UINT16_MODES
from pgtf.grids import Grid

Transform = Literal["none", "center-crop", "pad", "resize"]
Alpha = Literal["error", "drop", "white", "black"]

PLAIN_MODES = {"L": 1, "RGB": 3}  # mode that the original accepts -> channels
GRAY_MODES = ("1", "L", "LA", "La", *UINT16_MODES, "F")
FILE_ERRORS = (OSError, ValueError)  # `pgtf.foreign.pictures.reason` makes one line of them
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
    """Conversion of files to images [channels, height, width]."""

    channels: int
    resolution: int  # pixels; with another grid than 4x4, the sides are so many quarters of it
    transform: Transform = "none"
    alpha: Alpha = "error"  # treatment of transparent images
    strict: bool = True  # accept only RGB and gray files of one shape, as the original
    value_range: Range | None = None  # stored values that become black and white; see `ranges`
    pad: str | None = None  # color of the bars of `transform` pad; None = that of `alpha`, or black
    max_pixels: int | None = None  # of a file; None = the default
    grid: Grid = PAPER_GRID  # size of the coarsest level
    dtype: str = DTYPE  # of the images; `deep_pictures` reads others than uint8

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.grid.height, self.grid.width
        return self.resolution * height // 4, self.resolution * width // 4

    @property
    def shape(self) -> tuple[int, int, int]:
        """[C, H, W] of the images."""
        return self.channels, *self.size


def read_picture(path: str, conversion: Conversion, page: int = 0) -> np.ndarray:
    """Reads one file, or one page of it: -> uint8 [C, H, W].

    Raises:
        ValueError, OSError: the file cannot be used; `reason` makes one line of it.
    """
    if conversion.strict and not page:
        size, channels = conversion.size, conversion.channels
        if (pixels := read_plain_png(path, size, channels)) is not None:
            return pixels
    with open_picture(path, max_pixels=conversion.max_pixels, page=page) as file:
        if conversion.strict:
            _check_shape(file.mode, file.size, conversion)  # before it is decoded
            return to_pixels(_with_metadata(file), conversion)
        return to_pixels(normalize(file, conversion), conversion)


def _with_metadata(file: PIL.Image.Image) -> PIL.Image.Image:
    """Returns a plain picture as it is; applies metadata that change how it looks.

    Raises:
        ValueError: it is transparent.
    """
    # Deviation: the original ignores the orientation, color profile and transparent color of a
    # file, and cuts colors of 16 bits; pictures lay on their sides, and had other colors.
    if not {READER, LOADER} & {*file.info}:
        file.load()
        profile = file.info.get("icc_profile")
        is_plain = "transparency" not in file.info and orientation(file) == 1
        if is_plain and (not profile or is_srgb(profile)):
            return file
    return converted(to_plain(file, "error"), file.mode)


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
    """RGB or gray -> uint8 [C, H, W]; ValueError if its shape is another."""
    _check_shape(picture.mode, picture.size, conversion)
    pixels = np.asarray(picture)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def normalize(picture: PIL.Image.Image, conversion: Conversion) -> PIL.Image.Image:
    """Makes a picture upright, sRGB or gray, opaque, and fits it to the resolution."""
    picture = to_plain(picture, conversion.alpha, conversion.value_range)
    picture = converted(picture, "L" if conversion.channels == 1 else "RGB")
    bars = bar_color(conversion.pad, conversion.alpha)
    return fit(picture, conversion.size, conversion.transform, bars)


def to_plain(
    picture: PIL.Image.Image, alpha: Alpha, value_range: Range | None = None
) -> PIL.Image.Image:
    """Makes a picture upright, 8-bit, opaque, and sRGB if it has a color profile.

    Args:
        picture: opened by `pgtf.foreign.pictures`.
        alpha: treatment of transparent pixels.
        value_range: stored values that become black and white; see `ranges.to_8_bits`.

    Raises:
        ValueError: it is transparent and `alpha` is "error", or its range is not known.
    """
    plain = to_8_bits(picture, value_range)
    # Ask for the orientation last: some files have their EXIF data after their pixels.
    turn = TURNS.get(orientation(picture))
    plain = to_srgb(plain)
    return _flatten(plain if turn is None else plain.transpose(turn), alpha)


def converted(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Converts a picture to a mode; Pillow would copy one that has it already."""
    return picture if picture.mode == mode else picture.convert(mode)


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


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """True for an ICC profile whose colors are those of sRGB, give or take rounding."""
    steps = np.linspace(0, 255, 17).astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    picture = PIL.Image.fromarray(colors)
    picture.info["icc_profile"] = profile
    return bool(np.abs(np.asarray(to_srgb(picture), int) - colors).max() <= 1)


def bar_color(pad: str | None, alpha: Alpha) -> str:
    """Color of the bars that `fit` adds."""
    return pad or ("white" if alpha == "white" else "black")


def fit(
    picture: PIL.Image.Image,
    size: tuple[int, int],
    transform: Transform,
    bars: str | float = "black",
    resampling: PIL.Image.Resampling = PIL.Image.Resampling.LANCZOS,
) -> PIL.Image.Image:
    """Gives a picture a (height, width) by the given transform; pad adds bars of a color."""
    height, width = size
    found = picture.size
    if found == (width, height) or transform == "none":
        return picture
    # Compare found[0] / found[1] with width / height.
    is_wide = found[0] * height > found[1] * width
    if transform == "center-crop":
        crop = found[0], found[0] * height // width
        if is_wide:
            crop = found[1] * width // height, found[1]
        crop = max(crop[0], 1), max(crop[1], 1)
        left, top = (found[0] - crop[0]) // 2, (found[1] - crop[1]) // 2
        picture = picture.crop((left, top, left + crop[0], top + crop[1]))
    elif transform == "pad":
        # Resize first: the rectangle around a panorama may not fit in memory.
        inner = (round(found[0] * height / found[1]), height)
        if is_wide:
            inner = (width, round(found[1] * width / found[0]))
        inner = max(inner[0], 1), max(inner[1], 1)
        picture = picture.resize(inner, resampling)
        whole = PIL.Image.new(picture.mode, (width, height), bars)
        whole.paste(picture, ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return whole
    return picture.resize((width, height), resampling)


def _flatten(picture: PIL.Image.Image, alpha: Alpha) -> PIL.Image.Image:
    """Removes the alpha channel."""
    if picture.mode not in ("LA", "RGBA"):
        return picture
    opacity = picture.getchannel("A")
    if alpha == "drop" or opacity.getextrema()[0] == 255:
        return picture.convert("RGB" if picture.mode == "RGBA" else "L")
    refuse_transparency(alpha)
    colors = picture.convert("RGB")
    flat = PIL.Image.new("RGB", picture.size, alpha)
    flat.paste(colors, mask=opacity)
    return flat


def refuse_transparency(alpha: Alpha) -> None:
    """Raises ValueError for transparent pixels, unless it is said what becomes of them."""
    if alpha == "error":
        raise ValueError("is transparent; --alpha=white, black or drop says what to do")
