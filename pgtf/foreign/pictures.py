"""Opens image files: the formats that we mean, of bounded size, and one kind of error.

Every image file of a user is opened here, except those that OpenCV decodes for LSUN, which
`suits_opencv` looks at before.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from typing import IO

import numpy as np
import PIL.Image

from pgtf.foreign import kinds, picture_headers, pnm, tiff
from pgtf.foreign.files import PathLike, open_regular, size_of
from pgtf.foreign.formats import TGA, formats
from pgtf.foreign.jpeg import WholeJpeg, decode_jpeg, refuse_damaged
from pgtf.foreign.limits import (
    DEEP,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    TooManyPixels,
    UnreadableKind,
    check_size,
)
from pgtf.foreign.samples import prepare_png, prepare_ppm
from pgtf.foreign.tiff_pages import FileContent, Plain, plain_tiff
from pgtf.foreign.tiff_samples import open_tiff

PNG, PNG_START = ("PNG",), b"\x89PNG"
OPENCV_FORMATS = ("PNG", "WEBP", "TIFF", "BMP")  # and JPEG
HEAD_BYTES = 64  # enough to tell a kind of file from another
NUM_PAGES, TURN = "pgtf-pages", "pgtf-orientation"  # keys in the `info` of a TIFF file
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\s*["'<]""")


@contextlib.contextmanager
def open_picture(
    path: PathLike, *, pixels: bool = True, max_pixels: int | None = None, page: int = 0
) -> Iterator[PIL.Image.Image]:
    """Opens an image file; its pixels are decoded when they are first used.

    EXIF and XMP data are not parsed; `orientation` does what is needed of that.

    Args:
        path: the file.
        pixels: False = only size and mode are needed, and the file need not be read.
        max_pixels: largest number of pixels, which the message for more then says how to raise;
            None = the default, and the user cannot raise it.
        page: number of the picture in a TIFF file or an animation; see `num_pages`.

    Raises:
        ValueError: the file is no image, is damaged, or is too large. Also raised for anything that
            goes wrong in a decoder while the context is open. `reason` makes one line of it.
        OSError: the file cannot be read.
    """
    limit = max_pixels or MAX_PIXELS
    with one_kind_of_error(max_pixels), _limit_of_pillow(limit), open_regular(path) as file:
        if not size_of(file):
            raise ValueError("the file is empty")
        if size_of(file) > MAX_FILE_BYTES:
            raise ValueError(f"must have at most {MAX_FILE_BYTES} bytes")
        with _open(file, os.fspath(path), size_of(file), pixels, limit, page) as picture:
            check_size(picture.size, size_of(file), picture.format, limit)
            yield picture


def num_pages(picture: PIL.Image.Image) -> int:
    """Number of pictures in a TIFF file or an animation; 1 for any other file."""
    if picture.format == "TIFF":
        return int(picture.info[NUM_PAGES])
    return min(getattr(picture, "n_frames", 1), tiff.MAX_PAGES)


@contextlib.contextmanager
def open_encoded(content: bytes) -> Iterator[PIL.Image.Image]:
    """Opens an image in memory, such as an entry of LSUN, which may be TGA; see `open_picture`."""
    file = io.BytesIO(content)
    with one_kind_of_error(), _open(file, TGA[0], len(content), True, MAX_PIXELS, 0) as picture:
        check_size(picture.size, len(content), picture.format)
        yield picture


def decode_encoded_jpeg(content: bytes) -> np.ndarray | None:
    """Decodes a JPEG file in memory without Pillow, which takes longer: -> uint8 [H, W, 3].

    Returns None for a file of another format, for CMYK, and for one that must be turned.

    Raises:
        ValueError, OSError: see `open_picture`.
    """
    if not content.startswith(picture_headers.JPEG_START):
        return None
    with one_kind_of_error():
        jpeg = picture_headers.read_jpeg(io.BytesIO(content), pixels=True)
        check_size(jpeg.size, len(content))
        pixels = decode_jpeg(jpeg.content, "CMYK" if jpeg.num_components == 4 else "RGB")
        if pixels is None:
            refuse_damaged(jpeg.content)
        is_plain = jpeg.num_components != 4 and tiff.orientation_of(jpeg.exif) <= 1
        return pixels if is_plain else None


def suits_opencv(content: bytes) -> bool:
    """True for an image in memory, of a format of LSUN, that another decoder than Pillow may see.

    Raises:
        ValueError, OSError: see `open_picture`.
    """
    if content.startswith(picture_headers.JPEG_START):
        with one_kind_of_error():
            jpeg = picture_headers.read_jpeg(io.BytesIO(content), pixels=True)
            check_size(jpeg.size, len(content))
            return True
    with open_encoded(content) as picture:
        return picture.format in OPENCV_FORMATS


def reason(error: Exception) -> str:
    """Describes in one line, without the file's name, why a file could not be read."""
    if isinstance(error, PIL.UnidentifiedImageError):
        return "not an image, or of a kind that cannot be read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if str(error).startswith("decoder error"):  # Pillow's number for one of libtiff, for instance
        return f"damaged ({error})"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def one_kind_of_error(max_pixels: int | None = None) -> Iterator[None]:
    """Turns everything that decoders raise into ValueError or OSError, and hides their warnings.

    Args:
        max_pixels: limit on pixels, if the user may set it; None = there is no remedy to name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except TooManyPixels as error:
        if max_pixels is None:
            raise
        raise ValueError(f"{error}; --max_pixels={error.found} accepts it") from None
    except (OSError, ValueError):
        raise
    except PIL.Image.DecompressionBombError as error:  # It names the number first.
        found = re.search(r"\d+", str(error))
        remedy = f"; --max_pixels={found[0]} accepts it" if found and max_pixels else ""
        raise ValueError(
            f"must have at most {max_pixels or MAX_PIXELS} pixels, "
            f"found {found[0] if found else 'more'}{remedy}"
        ) from None
    except MemoryError:
        raise ValueError("needs more memory than there is") from None
    except Exception as error:
        what = " ".join(str(error).split())
        raise ValueError(f"damaged ({type(error).__name__}: {what})") from error


@contextlib.contextmanager
def _limit_of_pillow(max_pixels: int) -> Iterator[None]:
    """Context manager that raises Pillow's own limit, if ours is higher."""
    before = PIL.Image.MAX_IMAGE_PIXELS
    if max_pixels > MAX_PIXELS:
        PIL.Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


def orientation(picture: PIL.Image.Image) -> int:
    """EXIF orientation of a picture whose pixels were decoded, 1 to 8.

    Only this value is read: a camera may have written anything into the others.
    """
    info = picture.info
    if picture.format == "TIFF":
        return int(info.get(TURN, 1))
    if picture.format == "HEIF":  # Its decoder has turned it.
        return 1
    exif = info.get("exif", b"")
    if not exif and isinstance(text := info.get("Raw profile type exif"), str):
        with contextlib.suppress(ValueError):  # ImageMagick: a name, a length, hexadecimal lines
            exif = bytes.fromhex("".join(text.split("\n")[3:]))
    if picture.format == "AVIF":  # Pillow writes there what the file says elsewhere.
        return tiff.orientation_of(exif) or 1
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
    found = XMP_ORIENTATION.search(xmp)
    return tiff.orientation_of(exif) or (int(found[1]) if found else 1)


def _open(
    file: IO[bytes], name: str, num_bytes: int, pixels: bool, max_pixels: int, page: int
) -> PIL.Image.Image:
    """Opens a file after its header has been checked or rewritten."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    kinds.refuse_unreadable(head, name)
    if head.startswith(picture_headers.JPEG_START):
        return _open_jpeg(picture_headers.read_jpeg(file, pixels))
    if head[:4] in tiff.STARTS:
        plain = plain_tiff(FileContent(file, num_bytes), page)
        return _open_tiff(plain, num_bytes, max_pixels)
    if kinds.is_heic(head):
        return _open_heic(file)
    if head.startswith(PNG_START):
        file = picture_headers.checked_png(file)
    elif head.startswith(b"GIF"):
        picture_headers.check_gif(file)
    elif head.startswith(b"RIFF"):
        if size := picture_headers.webp_size(head):
            check_size(size, num_bytes, "WEBP", max_pixels)
    elif head[4:8] == b"ftyp":
        file = io.BytesIO(picture_headers.without_exif(file.read()))
    elif head.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
        # Reading from memory allocates no more than there is, whatever length a header says.
        file = io.BytesIO(content := file.read())
        picture_headers.check_jpeg2000(content)
    elif head.startswith(pnm.STARTS):
        file = pnm.to_binary(file, num_bytes, max_pixels)
    file.seek(0)
    # Most sets are of PNG or JPEG files: they do not wait until all others are imported.
    picture = _open_by_pillow(file, name, PNG if head.startswith(PNG_START) else formats())
    if picture.format == "PPM":
        prepare_ppm(picture, file)
    if page:
        picture.seek(page)
    elif picture.format == "PNG" and head.startswith(PNG_START):
        prepare_png(picture, file, *head[24:26])
        if head[24] == 16 and head[25]:
            check_size(picture.size, num_bytes, DEEP, max_pixels)
    return picture


def _open_by_pillow(file: IO[bytes], name: str, known: tuple[str, ...]) -> PIL.Image.Image:
    try:
        return PIL.Image.open(file, formats=known)
    except PIL.UnidentifiedImageError:
        if reason := kinds.reason_by_name(name):
            raise UnreadableKind(reason) from None
        if not name.lower().endswith(TGA):
            raise
        file.seek(0)
        return PIL.Image.open(file, formats=["TGA"])


def _open_jpeg(jpeg: picture_headers.Jpeg) -> PIL.Image.Image:
    try:
        picture = WholeJpeg(io.BytesIO(jpeg.content))
    except SyntaxError as error:
        raise PIL.UnidentifiedImageError(str(error)) from None
    metadata = {"exif": jpeg.exif, "xmp": jpeg.xmp}
    picture.info.update({key: value for key, value in metadata.items() if value})
    return picture


def _open_tiff(plain: Plain, num_bytes: int, max_pixels: int) -> PIL.Image.Image:
    picture = open_tiff(plain, num_bytes, max_pixels)
    picture.info |= {NUM_PAGES: plain.num_pages, TURN: plain.orientation}
    return picture


def _open_heic(file: IO[bytes]) -> PIL.Image.Image:
    if not kinds.open_heic():
        raise UnreadableKind(kinds.HEIC)
    file.seek(0)
    try:
        return PIL.Image.open(file, formats=["HEIF"])
    except PIL.UnidentifiedImageError:
        raise UnreadableKind(kinds.BAD_HEIC) from None
