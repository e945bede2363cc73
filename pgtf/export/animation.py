"""Animated GIF and WebP files, written frame by frame with the times that viewers keep.

Pillow holds all frames of a film until the last is known. It encodes single pictures here; what
joins them is written as the two formats define it.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import IO, Any

import numpy as np

from pgtf import images, marks

Timed = Iterable[tuple[np.ndarray, int]]  # frames and their times in the format's unit

GIF_MAX_SIDE = 65535  # pixels
WEBP_QUALITY = {"quality": 90, "method": 4}
WEBP_HEADER_BYTES = 12  # RIFF, size, WEBP
WEBP_MAX_BYTES = 2**32 - 10
_UNBLENDED = 2  # flag of a frame that replaces the one before it
_ANIMATED, _HAS_XMP = 2, 4  # flags of a WebP file: it holds several frames, an XMP packet


def timed(frames: Iterable[np.ndarray], fps: float, unit: Fraction, shortest: int) -> Timed:
    """Yields frames with whole times that add up to the film's length: -> (frame, units).

    Times are rounded so that no error accumulates. Frames that could be shown only for a shorter
    time than `shortest` are left out evenly. The same array again at once makes the time longer.

    Args:
        frames: at least one.
        fps: frames per second.
        unit: seconds.
        shortest: number of units.
    """
    period = 1 / (Fraction(fps) * unit)  # units per frame
    step = max(period, Fraction(shortest))  # units per frame that is shown
    held: list[tuple[np.ndarray, int]] = []  # frames and their beginnings, at most two
    number, num_slots = 0, 0
    for number, frame in enumerate(frames, 1):
        if number <= num_slots * step // period:
            continue
        begin, num_slots = round(num_slots * step), num_slots + 1
        if held and held[-1][0] is frame:
            continue
        if len(held) == 2:
            yield held[0][0], held[1][1] - held[0][1]
            del held[0]
        held.append((frame, begin))
    end = max(round(number * period), shortest)
    if len(held) == 2 and end - held[1][1] < shortest:
        del held[1]  # The frame before it takes the time that is left.
    ends = [begin for _, begin in held[1:]] + [end]
    for (frame, begin), next_begin in zip(held, ends, strict=True):
        yield frame, next_begin - begin


def write_gif(file: IO[bytes], frames: Timed, packet: bytes = b"") -> int:
    """Writes frames uint8 [H, W, 1 or 3] with times in hundredths of a second. Returns the number.

    Every frame has its own palette of up to 256 colors. `packet` is the XMP of the file.
    """
    num = 0
    for num, (frame, time) in enumerate(frames, 1):
        height, width = frame.shape[:2]
        if max(height, width) > GIF_MAX_SIDE:
            raise OSError(f"a GIF has at most {GIF_MAX_SIDE} pixels each way")
        if num == 1:
            file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
            file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # repeats for ever
            file.write(marks.gif_block(packet) if packet else b"")
        palette, size_code, data = _gif_parts(_encoded(frame, "GIF", interlace=0))
        file.write(b"!\xf9\x04\x04" + struct.pack("<HBB", time, 0, 0))
        file.write(b"," + struct.pack("<HHHHB", 0, 0, width, height, 0x80 | size_code))
        file.write(palette + data)
    file.write(b";")
    return num


def _gif_parts(content: bytes) -> tuple[bytes, int, bytes]:
    """Takes a GIF file of one picture apart: -> palette, code of its size, compressed pixels."""
    size_code = content[10] & 7
    begin = 13 + 3 * (2 << size_code)
    palette, position = content[13:begin], begin
    while content[position] == ord("!"):  # an extension: type, blocks with their sizes, 0
        position += 2
        while content[position]:
            position += content[position] + 1
        position += 1
    return palette, size_code, content[position + 10 : -1]  # without descriptor and trailer


def write_webp(file: IO[bytes], frames: Timed, packet: bytes = b"") -> int:
    """Writes frames uint8 [H, W, 1 or 3] with times in milliseconds. Returns their number.

    `packet` is the XMP of the file.
    """
    num, flags = 0, _ANIMATED | (_HAS_XMP if packet else 0)
    for num, (frame, time) in enumerate(frames, 1):
        sides = b"".join(_uint24(side - 1) for side in (frame.shape[1], frame.shape[0]))
        picture = _encoded(frame, "WEBP", **WEBP_QUALITY)[WEBP_HEADER_BYTES:]
        if num == 1:
            file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides))
            file.write(_chunk(b"ANIM", bytes(6)))  # black behind; repeats for ever
        place = bytes(6) + sides + _uint24(time) + bytes([_UNBLENDED])
        file.write(_chunk(b"ANMF", place + picture))
        if file.tell() > WEBP_MAX_BYTES:
            raise OSError("a WebP has at most 4 GiB; choose .mp4")
    file.write(marks.webp_chunk(packet) if packet else b"")
    size = file.tell() - 8  # without this number and the four letters before it
    file.seek(4)
    file.write(struct.pack("<I", size))
    return num


def _encoded(frame: np.ndarray, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        images.to_pil(frame).save(buffer, name, **options)
    except ValueError as error:  # Pillow's WebP encoder refuses a size.
        raise OSError(str(error)) from error
    return buffer.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _uint24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


@dataclasses.dataclass(frozen=True)
class Format:
    """A kind of animated picture."""

    write: Callable[[IO[bytes], Timed, bytes], int]
    unit: Fraction  # seconds
    shortest: int  # units; browsers show a frame with a shorter time for 100 ms
    longest: int  # units

    def timed(self, frames: Iterator[np.ndarray], fps: float) -> Timed:
        """Gives frames their times. Raises ValueError if one would be too long."""
        lowest = float(1 / (self.unit * self.longest))
        if fps < lowest:
            raise ValueError(f"`--fps` must be at least {lowest:.2g}. Received: {fps}.")
        return timed(frames, fps, self.unit, self.shortest)


FORMATS = {
    ".gif": Format(write_gif, Fraction(1, 100), shortest=2, longest=2**16 - 1),
    ".webp": Format(write_webp, Fraction(1, 1000), shortest=11, longest=2**24 - 1),
}
