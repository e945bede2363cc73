"""libjpeg itself as a judge of JPEG files: the copy that comes with Pillow, called by ctypes.

Neither Pillow nor the reader of this project takes part, so both can be compared with it. Every
file is decoded in a child process, which ends where libjpeg gives up.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

VERSION = 62  # of the binary interface, which libjpeg-turbo has kept; its structures follow
DECODER_BYTES, ENCODER_BYTES = 632, 520
ROOM = 4096  # bytes, more than any of its structures needs
# Places of fields.
ERROR_EXIT, EMIT_MESSAGE, FORMAT_MESSAGE = 0, 8, 24
OUTPUT_WIDTH, OUTPUT_HEIGHT, OUTPUT_COMPONENTS, OUTPUT_SCANLINE = 136, 140, 148, 168
INPUT_WIDTH, INPUT_HEIGHT, INPUT_COMPONENTS, INPUT_SPACE = 48, 52, 56, 60
COMPONENTS, ARITHMETIC, OPTIMIZE, RESTART_INTERVAL = 88, 260, 264, 280
FACTORS, COMPONENT_BYTES = (8, 12), 96
SPACES = {1: 1, 3: 2, 4: 4}  # number of channels -> J_COLOR_SPACE: gray, RGB, CMYK
MAX_PIXELS = 1 << 22  # of a file that is judged
MAX_MESSAGES = 20
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
EMITTER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
FORMATTER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class Verdict(NamedTuple):
    """Holds the verdict of libjpeg on a file."""

    warnings: list[str]
    failure: str | None  # the message with which it gave up
    checksum: int  # of its pixels

    @property
    def is_clean(self) -> bool:
        """True if it decoded the file without a word."""
        return not self.warnings and self.failure is None


def path() -> str:
    """Path of the libjpeg of Pillow, or else of the system.

    Raises:
        ValueError: there is none.
    """
    folder = Path(PIL.__file__).parent
    for place in (folder.parent / "pillow.libs", folder / ".dylibs"):
        if found := sorted(place.glob("libjpeg*")):
            return str(found[0])
    if found := ctypes.util.find_library("jpeg"):
        return found
    raise ValueError("needs the shared library libjpeg, which a wheel of Pillow brings along")


class Judge:
    """Decodes files in a child process; a context manager, so that the child ends."""

    def __init__(self) -> None:
        self._path, self._pid, self._to, self._from = path(), 0, -1, -1

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def __call__(self, content: bytes) -> Verdict:
        """Decodes a file."""
        if not self._pid:
            self._fork()
        os.write(self._to, struct.pack("<I", len(content)))
        sent = 0
        while sent < len(content):
            sent += os.write(self._to, content[sent:])
        with os.fdopen(os.dup(self._from), "rb") as answers:
            line = answers.readline()
        found = Verdict(**json.loads(line)) if line else Verdict([], "the process ended", 0)
        if found.failure is not None:
            self._close()
        return found

    def _fork(self) -> None:
        asked, self._to = os.pipe()
        self._from, answered = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._to)
            os.close(self._from)
            try:
                _serve(ctypes.CDLL(self._path), asked, answered)
            finally:
                os._exit(0)
        os.close(asked)
        os.close(answered)

    def _close(self) -> None:
        if self._pid:
            os.close(self._to)
            os.close(self._from)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _serve(library: Any, asked: int, answered: int) -> None:
    """Runs in the child: reads files, each after its length, and answers with a line per file."""
    warnings: list[str] = []

    def answer(failure: str | None, checksum: int = 0) -> None:
        found = Verdict(warnings[:MAX_MESSAGES], failure, checksum)
        os.write(answered, json.dumps(found._asdict()).encode() + b"\n")
        warnings.clear()

    def on_error(state: int) -> None:  # must not return
        answer(_message(state))
        os._exit(0)

    def on_message(state: int, level: int) -> None:
        if level < 0:
            warnings.append(_message(state))

    errors = ctypes.create_string_buffer(ROOM)
    state = ctypes.create_string_buffer(ROOM)
    library.jpeg_std_error.restype = ctypes.c_void_p
    _pointer(state, 0).value = library.jpeg_std_error(errors)
    handlers = CALLBACK(on_error), EMITTER(on_message)
    for place, handler in zip((ERROR_EXIT, EMIT_MESSAGE), handlers, strict=True):
        _pointer(errors, place).value = ctypes.cast(handler, ctypes.c_void_p).value
    with os.fdopen(asked, "rb") as questions:
        while size := questions.read(4):
            content = questions.read(*struct.unpack("<I", size))
            answer(None, _decode(library, state, content))


def _message(state: int) -> str:
    """Returns the message that libjpeg has for its user."""
    errors = ctypes.c_void_p.from_address(state).value or 0
    buffer = ctypes.create_string_buffer(200)
    FORMATTER(ctypes.c_void_p.from_address(errors + FORMAT_MESSAGE).value or 0)(state, buffer)
    return buffer.value.decode(errors="replace")


def _decode(library: Any, state: Any, content: bytes) -> int:
    """Decodes a file as djpeg does: -> checksum of its pixels."""
    library.jpeg_CreateDecompress(state, VERSION, ctypes.c_size_t(DECODER_BYTES))
    library.jpeg_mem_src(state, content, ctypes.c_ulong(len(content)))
    library.jpeg_read_header(state, 1)
    library.jpeg_start_decompress(state)
    width, height = _number(state, OUTPUT_WIDTH).value, _number(state, OUTPUT_HEIGHT).value
    checksum = 0
    if width * height <= MAX_PIXELS:
        row = ctypes.create_string_buffer(width * _number(state, OUTPUT_COMPONENTS).value)
        rows = (ctypes.c_void_p * 1)(ctypes.addressof(row))
        while _number(state, OUTPUT_SCANLINE).value < height:
            library.jpeg_read_scanlines(state, rows, 1)
            checksum = zlib.crc32(row, checksum)
        library.jpeg_finish_decompress(state)
    library.jpeg_destroy_decompress(state)
    return checksum


def encode(
    pixels: np.ndarray,
    *,
    arithmetic: bool = False,
    progressive: bool = False,
    restart_interval: int = 0,
    sampling: Sequence[tuple[int, int]] = (),
) -> bytes:
    """Encodes uint8 [H, W, C] in ways that Pillow can read, but not write.

    Args:
        pixels: gray, RGB or CMYK.
        arithmetic: use arithmetic instead of Huffman coding.
        progressive: write several scans.
        restart_interval: blocks from one restart marker to the next; 0 = no markers.
        sampling: horizontal and vertical factor of each component; () = the usual ones.
    """
    library = ctypes.CDLL(path())
    errors, state = (ctypes.create_string_buffer(ROOM) for _ in range(2))
    library.jpeg_std_error.restype = ctypes.c_void_p
    _pointer(state, 0).value = library.jpeg_std_error(errors)
    library.jpeg_CreateCompress(state, VERSION, ctypes.c_size_t(ENCODER_BYTES))
    content, size = ctypes.c_void_p(), ctypes.c_ulong()
    library.jpeg_mem_dest(state, ctypes.byref(content), ctypes.byref(size))
    height, width, channels = pixels.shape
    fields = {INPUT_WIDTH: width, INPUT_HEIGHT: height, INPUT_COMPONENTS: channels}
    for place, value in (fields | {INPUT_SPACE: SPACES[channels]}).items():
        _number(state, place).value = value
    library.jpeg_set_defaults(state)
    fields = {ARITHMETIC: arithmetic, OPTIMIZE: not arithmetic, RESTART_INTERVAL: restart_interval}
    for place, value in fields.items():
        _number(state, place).value = int(value)
    component = _pointer(state, COMPONENTS).value or 0
    for factors in sampling:
        for place, factor in zip(FACTORS, factors, strict=True):
            ctypes.c_int.from_address(component + place).value = factor
        component += COMPONENT_BYTES
    if progressive:
        library.jpeg_simple_progression(state)
    library.jpeg_start_compress(state, 1)
    for row in np.ascontiguousarray(pixels):
        library.jpeg_write_scanlines(state, (ctypes.c_void_p * 1)(row.ctypes.data), 1)
    library.jpeg_finish_compress(state)
    found = ctypes.string_at(content, size.value)
    library.jpeg_destroy_compress(state)  # The buffer stays allocated: it has a few kilobytes.
    return found


def _number(state: Any, place: int) -> ctypes.c_int:
    return ctypes.c_int.from_buffer(state, place)


def _pointer(state: Any, place: int) -> ctypes.c_void_p:
    return ctypes.c_void_p.from_buffer(state, place)
