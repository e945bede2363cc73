"""Decodes JPEG files whose data are whole; libjpeg only warns about damage, and guesses pixels."""

from __future__ import annotations

import functools
import re

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin
from absl import logging

# Messages about files that another version of libjpeg may decode; all others are about damage.
UNSUPPORTED = re.compile(
    r"^tj|subsampling|Unsupported JPEG process|arithmetic|precision|color (?:space|conversion)"
)
COLOR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # by Pillow's mode


def decode_jpeg(content: bytes, mode: str) -> np.ndarray | None:
    """Decodes a JPEG file to the same pixels as Pillow, in less time: -> uint8 [H, W, C].

    Args:
        content: the file.
        mode: L, RGB or CMYK, the last one as stored.

    Returns:
        None if another decoder must read it: its subsampling or arithmetic is too rare.

    Raises:
        ValueError: its data are damaged.
    """
    simplejpeg = _simplejpeg()
    if simplejpeg is None:
        return None
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(content, COLOR_SPACES[mode], strict=True)
    except ValueError as error:
        if UNSUPPORTED.search(str(error)):
            return None
        what = str(error).removeprefix("Corrupt JPEG data: ")
        raise ValueError(f"damaged JPEG data ({what})") from None
    return pixels


@functools.cache
def _simplejpeg():  # type: ignore[no-untyped-def]
    try:
        import simplejpeg
    except ImportError as error:
        logging.warning(
            "Damaged JPEG files are not recognized: %s. Install it: pip install simplejpeg", error
        )
        return None
    return simplejpeg


class WholeJpeg(PIL.JpegImagePlugin.JpegImageFile):
    """A JPEG file that loads only if its data are whole; opened from memory."""

    def load(self) -> PIL.Image.core.PixelAccess | None:
        """Decodes the pixels when they are first used."""
        if self.tile and self.fp is not None:
            self.fp.seek(0)
            pixels = decode_jpeg(self.fp.read(), self.mode)
            if pixels is not None and pixels.shape[1::-1] == self.size:
                rawmode = "CMYK;I" if self.mode == "CMYK" else self.mode  # as Pillow does
                decoded = PIL.Image.frombuffer(self.mode, self.size, pixels, "raw", rawmode, 0, 1)
                self.im, self.tile = decoded.im, []
        return super().load()
