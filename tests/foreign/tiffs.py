"""TIFF and PNG files written by hand: any type of number, order of bytes and number of pages."""

import struct
import zlib

import numpy as np

FORMATS = {"u": 1, "i": 2, "f": 3}  # kind of a NumPy type -> SampleFormat


def tiff(*pages, order="<", white_is_zero=False, compressed=False, more=()):
    """Encodes pages [H, W] or [H, W, C].

    Args:
        pages: arrays of any type of number.
        order: of bytes, < or >.
        white_is_zero: PhotometricInterpretation 0.
        compressed: deflate.
        more: (tag, type, count, packed value of 4 bytes) in each directory.
    """
    result = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    link = 4  # where the place of the next directory belongs
    for page in pages:
        height, width, channels = np.atleast_3d(page).shape
        data = page.astype(page.dtype.newbyteorder(order)).tobytes()
        data = zlib.compress(data) if compressed else data
        strip = len(result)
        result += data + bytes(len(data) % 2)
        bits = len(result)
        depths = struct.pack(f"{order}{channels}H", *[8 * page.itemsize] * channels).ljust(4, b"\0")
        result += depths

        def short(value):
            return 3, 1, struct.pack(order + "HH", value, 0)

        def long(value):
            return 4, 1, struct.pack(order + "I", value)

        entries = {
            256: long(width),
            257: long(height),
            258: (3, channels, depths if len(depths) == 4 else struct.pack(order + "I", bits)),
            259: short(8 if compressed else 1),
            262: short(2 if channels > 2 else 0 if white_is_zero else 1),
            273: long(strip),
            277: short(channels),
            278: long(height),
            279: long(len(data)),
            339: short(FORMATS[page.dtype.kind]),
        }
        if channels > 1 and page.dtype.kind == "u":
            del entries[339]  # the default
        if channels == 4:
            entries[338] = short(2)  # opacity, not multiplied with the colors
        entries |= {tag: rest for tag, *rest in more}
        struct.pack_into(order + "I", result, link, len(result))
        result += struct.pack(order + "H", len(entries))
        for tag in sorted(entries):
            kind, count, value = entries[tag]
            result += struct.pack(order + "HHI", tag, kind, count) + value
        link = len(result)
        result += bytes(4)
    return bytes(result)


def png(values, bits=None, key=b""):
    """Encodes [H, W] or [H, W, C], without filters; `key` is the content of tRNS."""
    height, width, channels = np.atleast_3d(values).shape
    bits = bits or 8 * values.itemsize
    if bits < 8:
        places = np.arange(8 // bits)[::-1] * bits
        packed = (values.reshape(height, -1, 8 // bits) << places).sum(axis=2).astype(np.uint8)
    else:
        packed = values.astype(values.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", key), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
        if data or name == b"IEND"
    )
