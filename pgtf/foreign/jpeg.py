"""Decodes JPEG files whose data are whole; libjpeg only warns about damage, and guesses pixels."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.JpegImagePlugin

# Messages about files that another version of libjpeg may decode; all others are about damage, such
# as "bad arithmetic code".
UNSUPPORTED = re.compile(r"^tj|not implemented|Unsupported (?:JPEG|color)")
# Errors of `jpeg_check`: those, and that the library is of another make than it expects.
NOT_CHECKED = re.compile(
    f"{UNSUPPORTED.pattern}|struct mismatch|Wrong JPEG library|Traceback|Error"
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
        raise _damaged(str(error)) from None
    return pixels


def refuse_damaged(content: bytes) -> None:
    """Refuses a damaged JPEG file that `decode_jpeg` cannot decode, such as CMYK with subsampling.

    Pillow can, without a word about damage, so its libjpeg is asked, in a process of its own. That
    takes 15 ms. Does nothing where this Pillow has no libjpeg of its own.

    Raises:
        ValueError: its data are damaged.
    """
    library = _libjpeg()
    if _simplejpeg() is None or library is None or not sys.executable:
        return
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("jpeg_check.py"))]
    done = subprocess.run([*program, library], input=content, capture_output=True)
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode in (1, 2) and lines and not NOT_CHECKED.search(lines[-1]):
        raise _damaged(lines[-1])


def _damaged(message: str) -> ValueError:
    return ValueError(f"damaged JPEG data ({message.removeprefix('Corrupt JPEG data: ')})")


@functools.cache
def _libjpeg() -> str | None:
    """Path of the library in a wheel of Pillow."""
    folder = Path(PIL.__file__).parent
    places = folder.parent / "pillow.libs", folder / ".dylibs"
    return next((str(path) for place in places for path in place.glob("libjpeg*")), None)


@functools.cache
def _simplejpeg():  # type: ignore[no-untyped-def]
    try:
        import simplejpeg
    except ImportError as error:
        from absl import logging

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
            content = self.fp.read()
            pixels = decode_jpeg(content, self.mode, buffer)
            if pixels is None:
                refuse_damaged(content)
            elif pixels.shape[1::-1] == self.size:
                rawmode = "CMYK;I" if self.mode == "CMYK" else self.mode  # as Pillow does
                decoded = PIL.Image.new(self.mode, self.size, None)
                decoded.frombytes(pixels.data, "raw", rawmode)
                self.im, self.tile = decoded.im, []
        return super().load()
