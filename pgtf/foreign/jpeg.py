"""Decodes JPEG files whose data are whole; libjpeg only warns about damage, and guesses pixels."""

from __future__ import annotations

import functools
import re
import threading

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin
from absl import logging

# Messages about files that another version of libjpeg may decode; all others are about damage.
UNSUPPORTED = re.compile(
    r"^tj|subsampling|Unsupported JPEG process|arithmetic|precision|color (?:space|conversion)"
)
MAX_KEPT = 1 << 26  # bytes of memory that a thread keeps for the next file
_local = threading.local()
COLOR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # by Pillow's mode


def decode_jpeg(content: bytes, mode: str, buffer: np.ndarray | None = None) -> np.ndarray | None:
    """Decodes a JPEG file to the same pixels as Pillow, in less time: -> uint8 [H, W, C].

    Args:
        content: the file.
        mode: L, RGB or CMYK, the last one as stored.
        buffer: uint8, large enough for the pixels, which become a view of it; None = a new one.

    Returns:
        None if another decoder must read it: its subsampling or arithmetic is too rare.

    Raises:
        ValueError: its data are damaged.
    """
    simplejpeg = _simplejpeg()
    if simplejpeg is None:
        return None
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            content, COLOR_SPACES[mode], buffer=buffer, strict=True
        )
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


def _buffer(num_bytes: int) -> np.ndarray:
    """Memory for pixels that are copied at once; new memory would take longer than decoding."""
    buffer: np.ndarray | None = getattr(_local, "buffer", None)
    if buffer is None or len(buffer) < num_bytes:
        buffer = np.empty(num_bytes, np.uint8)
        if num_bytes <= MAX_KEPT:
            _local.buffer = buffer
    return buffer


class WholeJpeg(PIL.JpegImagePlugin.JpegImageFile):
    """A JPEG file that loads only if its data are whole; opened from memory."""

    def load(self) -> PIL.Image.core.PixelAccess | None:
        """Decodes the pixels when they are first used."""
        if self.tile and self.fp is not None:
            self.fp.seek(0)
            buffer = _buffer(self.width * self.height * len(self.mode))
            pixels = decode_jpeg(self.fp.read(), self.mode, buffer)
            if pixels is not None and pixels.shape[1::-1] == self.size:
                rawmode = "CMYK;I" if self.mode == "CMYK" else self.mode  # as Pillow does
                decoded = PIL.Image.new(self.mode, self.size, None)
                decoded.frombytes(pixels.data, "raw", rawmode)
                self.im, self.tile = decoded.im, []
        return super().load()
