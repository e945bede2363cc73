"""Limits on what a small file may make a decoder do."""

from __future__ import annotations

MAX_FILE_BYTES = 1 << 30  # of a picture; 179 megapixels of 6 bytes
MAX_PIXELS = 178_956_970  # Pillow refuses more: RGB takes 4 bytes per pixel, together 683 MiB.
# A picture of up to 33 megapixels, a square with a side of 5792, may be compressed in any way, and
# takes less than 512 MiB. A larger one must have a byte per 128 pixels, which photographs exceed
# at any quality.
FREE_PIXELS = 1 << 25
PIXELS_PER_BYTE = 128
# A GIF file is decoded in many steps, and never packs photographs as tightly.
GIF_PIXELS_PER_BYTE = 16
# Their decoders take twice as much, so half the pixels; DEEP is our own name for colors of 16 bits.
DEEP = "16-bit RGB"
HEAVY = ("WEBP", "AVIF", "HEIF", "JPEG2000", "GIF", DEEP)
# A progressive JPEG file has about 10 scans. Each takes about 2 ns per pixel even if it is empty.
FREE_SCANS = 20
MAX_SCANNED = 1 << 29  # scans * pixels of a file with more scans


class UnreadableKind(ValueError):
    """Raised for a picture of a known kind that cannot be read; names the remedy."""


class TooManyPixels(ValueError):
    """Raised for more pixels than a limit, which the user may raise."""

    def __init__(self, size: tuple[int, int], max_pixels: int) -> None:
        super().__init__(f"must have at most {max_pixels} pixels, found {size[0]}x{size[1]}")
        self.found = size[0] * size[1]


def check_size(
    size: tuple[int, int], num_bytes: int, kind: str | None = None, max_pixels: int = MAX_PIXELS
) -> None:
    """Refuses a picture that is too large, or larger than a file of so many bytes can be.

    Args:
        size: width and height that the file claims.
        num_bytes: size of the file; it does not matter if `max_pixels` is not the default.
        kind: Pillow's name of the format.
        max_pixels: largest number of pixels.

    Raises:
        ValueError: the picture is too large.
    """
    width, height = size
    pixels = width * height
    free = FREE_PIXELS // 2 if kind in HEAVY else FREE_PIXELS
    if pixels > max_pixels:
        raise TooManyPixels(size, max_pixels)
    per_byte = GIF_PIXELS_PER_BYTE if kind == "GIF" else PIXELS_PER_BYTE
    if max_pixels == MAX_PIXELS and pixels > max(free, per_byte * num_bytes):
        raise ValueError(f"claims to be {width}x{height}, too large for its {num_bytes} bytes")


def check_scans(content: bytes, start: int, pixels: int) -> None:
    """Refuses a JPEG file with so many scans that decoding would take minutes.

    Args:
        content: the file.
        start: place of the first scan, or a place before it.
        pixels: size of the image, or of one tile of it.

    Raises:
        ValueError: there are too many scans.
    """
    num_scans = content.count(b"\xff\xda", start)
    if num_scans > FREE_SCANS and num_scans * pixels > MAX_SCANNED:
        raise ValueError(f"must have fewer JPEG scans, found {num_scans}")
