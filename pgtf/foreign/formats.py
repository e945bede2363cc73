"""Formats of picture files that are read, and the extensions of their names."""

from __future__ import annotations

import contextlib
import functools
import importlib

import PIL.Image

from pgtf.foreign import kinds

# Deviation: the original takes every format that Pillow opens, of which EPS runs a program.
FORMATS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "AVIF": "AvifImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "PPM": "PpmImagePlugin",
}
TGA = (".tga", ".icb", ".vda", ".vst")  # Nothing in these files tells them from text.


@functools.cache
def formats() -> tuple[str, ...]:
    """Names of FORMATS that this Pillow can read; an older one has no AVIF."""
    # Importing all forty modules of Pillow takes a worker as long as 50 images.
    for module in FORMATS.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(f"PIL.{module}")
    return tuple(name for name in FORMATS if name in PIL.Image.OPEN)


@functools.cache
def extensions() -> frozenset[str]:
    """Extensions that promise a picture, with their dots: of files that can be read, or are named.

    The latter are camera raw files and the like: they shall be rejected with a remedy, not skipped.
    """
    known = formats()
    ours = {end for end, kind in PIL.Image.EXTENSION.items() if kind in known}
    return kinds.EXTENSIONS | ours | {*TGA}
