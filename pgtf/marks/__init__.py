"""Marks: metadata that say that pixels were generated, by which network and from what.

A mark is an XMP packet in the file. It changes no pixel and holds no date, so that the same command
writes the same bytes again. Programs that encode a picture anew usually drop it.
"""

from pgtf.marks.carriers import (
    PNG_HEADER_BYTES,
    append_to_mp4,
    gif_block,
    in_png,
    png_chunk,
    webp_chunk,
)
from pgtf.marks.mark import COMPOSITE, TRAINED, Mark, read_mark, read_packet

__all__ = [
    "COMPOSITE",
    "PNG_HEADER_BYTES",
    "TRAINED",
    "Mark",
    "append_to_mp4",
    "gif_block",
    "in_png",
    "png_chunk",
    "read_mark",
    "read_packet",
    "webp_chunk",
]
