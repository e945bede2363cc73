"""Decodes a JPEG file by libjpeg alone: python jpeg_check.py LIBRARY <FILE

A program, because libjpeg ends the process where it gives up: exit code 1, and the reason as the
last line of its standard error output. After warnings the exit code is 2, and the line is the first
of them. It imports nothing of the package, so that it starts in milliseconds.
"""

import ctypes
import sys

VERSION, DECODER_BYTES = 62, 632  # binary interface of libjpeg-turbo; it compares both with its own
ROOM = 4096  # bytes, more than any of its structures needs
NUM_WARNINGS = 128  # place in the structure of its messages


def main(path: str, content: bytes) -> int:
    """Decodes all coefficients of a file. Returns the exit code."""
    library = ctypes.CDLL(path)
    errors, state = (ctypes.create_string_buffer(ROOM) for _ in range(2))
    library.jpeg_std_error.restype = ctypes.c_void_p
    ctypes.c_void_p.from_buffer(state).value = library.jpeg_std_error(errors)
    library.jpeg_CreateDecompress(state, VERSION, ctypes.c_size_t(DECODER_BYTES))
    library.jpeg_mem_src(state, content, ctypes.c_ulong(len(content)))
    library.jpeg_read_header(state, 1)
    library.jpeg_read_coefficients(state)
    library.jpeg_finish_decompress(state)
    return 2 if ctypes.c_long.from_buffer(errors, NUM_WARNINGS).value else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.stdin.buffer.read()))
