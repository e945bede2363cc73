"""Writes picture files byte by byte."""

import io
import struct
import zlib

import numpy as np
import PIL.Image


def encoded(kind, size=(16, 16), **options):
    ramp = np.add.outer(np.arange(size[1]), 3 * np.arange(size[0])).astype(np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], axis=2)).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png(side, bits=8, color=0, extra=b"", rows=0):
    """A PNG file that claims side x side pixels and has some rows of black ones."""
    line = bytes(1 + side * bits * {0: 1, 2: 3, 6: 4}[color] // 8)
    packer = zlib.compressobj(1, wbits=-15)  # the same bytes for every row
    packed = packer.compress(line) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = rows * len(line) % 65521 << 16 | 1
    data = b"x\x01" + rows * packed + b"\3\0" + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", side, side, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def tiff(entries, pixels=bytes(768)):
    """A TIFF file of 16x16 RGB pixels; `entries` are (tag, type, count, value)."""
    plain = {256: (4, 1, 16), 257: (4, 1, 16), 259: (3, 1, 1), 262: (3, 1, 2), 273: (4, 1, 8)}
    plain |= {258: (3, 1, 8), 277: (3, 1, 3), 278: (4, 1, 16), 279: (4, 1, len(pixels))}
    plain |= {tag: rest for tag, *rest in entries}
    records = b"".join(struct.pack("<HHII", tag, *plain[tag]) for tag in sorted(plain))
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    return head + pixels + struct.pack("<H", len(plain)) + records + bytes(4)


def with_exif(jpeg, exif):
    body = b"Exif\0\0" + exif
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def exif(*records):
    """EXIF data of one directory; `records` are (tag, type, count, value)."""
    packed = b"".join(struct.pack(">HHII", *record) for record in records)
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(records)) + packed + bytes(4)


ODD_EXIF = exif((274, 3, 1, 6 << 16), (0x8769, 2, 4, 0x41424300), (0x010E, 12, 9, 1 << 30))


def many_scans(num_scans, side=1024):
    """A progressive JPEG file whose last scan is repeated."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (side, side)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()[:-2]
    last = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) :]
    return data + num_scans * last + b"\xff\xd9"


def with_size(data, at, form, side):
    return data[:at] + struct.pack(form, side, side) + data[at + struct.calcsize(form) :]


def jpeg_of_size(side):
    data = encoded("JPEG")
    return with_size(data, data.index(b"\xff\xc0") + 5, ">HH", side)
