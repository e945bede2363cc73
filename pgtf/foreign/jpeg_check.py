"""Decodes a JPEG file by libjpeg alone: python jpeg_check.py LIBRARY <FILE

A program, because libjpeg ends the process where it gives up. It says the first warning on its
standard error output, and imports nothing of the package, so that it starts in milliseconds.
"""

import ctypes
import sys

VERSION, DECODER_BYTES = 62, 632  # binary interface of libjpeg-turbo; it compares both with its own
ROOM = 4096  # bytes, more than any of its structures needs


def main(path: str, content: bytes) -> None:
    """Decodes all coefficients of a file."""
    library = ctypes.CDLL(path)
    errors, state = (ctypes.create_string_buffer(ROOM) for _ in range(2))
    library.jpeg_std_error.restype = ctypes.c_void_p
    ctypes.c_void_p.from_buffer(state).value = library.jpeg_std_error(errors)
    library.jpeg_CreateDecompress(state, VERSION, ctypes.c_size_t(DECODER_BYTES))
    library.jpeg_mem_src(state, content, ctypes.c_ulong(len(content)))
    library.jpeg_read_header(state, 1)
    library.jpeg_read_coefficients(state)
    library.jpeg_finish_decompress(state)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.buffer.read())
