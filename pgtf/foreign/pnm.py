"""PBM, PGM and PPM files written as text, in the binary form of the same values.

Pillow reads such a header byte by byte, and takes minutes for a megabyte of comments.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import IO

import numpy as np

from pgtf.foreign.limits import check_size

STARTS = tuple(b"P%c" % kind for kind in b"0123456fy")  # everything that Pillow takes for one
HEADER_BYTES = 1 << 16  # in which the header ends; a comment in it has a line
COMMENT = re.compile(rb"#[^\r\n]*[\r\n]?")
HEADER = re.compile(rb"P\w{1,5}\s+\S{1,10}\s+\S{1,10}\s(?:\s*\S{1,30}\s)?")
TEXT = re.compile(rb"P(?:(1)|([23]))\s+(\d{1,10})\s+(\d{1,10})(?(2)\s+(\d{1,5}))\s")
BLOCK = 1 << 20  # bytes of text that are converted at once
IN_TEXT = (b"P1", b"P2", b"P3")


def to_binary(file: IO[bytes], num_bytes: int, max_pixels: int) -> IO[bytes]:
    """Returns a file itself if its values are binary, else a file in memory whose values are.

    Args:
        file: positioned at its beginning, as it is afterwards.
        num_bytes: its size.
        max_pixels: see `check_size`.

    Raises:
        ValueError: the file is damaged, or its header is too long.
    """
    start = file.read(HEADER_BYTES)
    if not HEADER.match(COMMENT.sub(b"", start)) and len(start) == HEADER_BYTES:
        raise ValueError(f"damaged: its header has more than {HEADER_BYTES >> 10} KiB")
    file.seek(0)
    if not start.startswith(IN_TEXT):
        return file
    text = COMMENT.sub(b"", file.read())
    file.seek(0)
    header = TEXT.match(text)
    if header is None or min(size := (int(header[3]), int(header[4]))) < 1:
        return file  # Pillow says what is wrong.
    check_size(size, num_bytes, "PPM", max_pixels)
    if header[1]:
        return io.BytesIO(b"P4 %d %d\n" % size + _bits(text, header.end(), *size))
    if not 0 < (highest := int(header[5])) < 1 << 16:
        return file
    kind, channels = (b"P5", 1) if header[2] == b"2" else (b"P6", 3)
    values = _values(text, header.end(), channels * size[0] * size[1], highest)
    return io.BytesIO(b"%b %d %d %d\n" % (kind, *size, highest) + values)


def _bits(text: bytes, at: int, width: int, height: int) -> bytes:
    """Packs digits 0 and 1, with or without blanks between them."""
    digits = b"".join(text[at:].split())[: width * height]
    if len(digits) < width * height:
        raise ValueError("damaged: it ends before its image")
    bits = np.frombuffer(digits, np.uint8).reshape(height, width) - ord("0")
    if bits.size and bits.max() > 1:
        raise ValueError("damaged: a value is not 0 or 1")
    return np.packbits(bits, axis=1).tobytes()


def _values(text: bytes, at: int, count: int, highest: int) -> bytes:
    """Converts numbers of 0 to `highest` to bytes, or to pairs of them."""
    if len(text) - at < 2 * count - 1:  # A number takes a digit and a blank, except the last.
        raise ValueError("damaged: it ends before its image")
    found = np.empty(count, ">u2" if highest > 255 else "u1")
    done = 0
    while done < count and at < len(text):
        blank = re.compile(rb"\s").search(text, at + BLOCK)
        end = blank.end() if blank else len(text)
        values = _numbers(text[at:end])[: count - done]
        if values.size and not (0 <= values.min() <= values.max() <= highest):
            raise ValueError(f"damaged: a value is not 0 to {highest}")
        found[done : done + len(values)] = values
        done, at = done + len(values), end
    if done < count:
        raise ValueError("damaged: it ends before its image")
    return found.tobytes()


def _numbers(text: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise ValueError("damaged: a value is not a number") from None
