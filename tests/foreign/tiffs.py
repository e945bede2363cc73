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


def blocks(
    values, *, order="<", rows=0, tile=0, predictor=1, planes=False, pack=zlib.compress, more=()
):
    """Encodes [H, W, C] in strips of `rows` or tiles of `tile`, deflated unless `pack` says else.

    Args:
        values: gray, or three channels of RGB.
        order: of bytes, < or >.
        rows: per strip; 0 = all, or tiles.
        tile: pixels per side of a tile, a multiple of 16; 0 = strips.
        predictor: 1 none, 2 differences of integers, 3 of floating-point numbers.
        planes: one plane per channel.
        pack: (bytes of a block) -> compressed; None = no compression.
        more: {tag: numbers} of other tags.
    """
    height, width, channels = values.shape
    high, wide = (tile, tile) if tile else (rows or height, width)
    parts = []
    for plane in np.split(values, channels, axis=2) if planes else [values]:
        for top in range(0, height, high):
            for left in range(0, width, wide):
                block = plane[top : top + high, left : left + wide]
                if tile:
                    missing = (high - block.shape[0], wide - block.shape[1])
                    block = np.pad(block, [(0, missing[0]), (0, missing[1]), (0, 0)])
                data = _predicted(block, order, predictor)
                parts.append(data if pack is None else pack(data))
    result = bytearray(b"II*\0\0\0\0\0" if order == "<" else b"MM\0*\0\0\0\0")

    def append(data):
        place = len(result)
        result.extend(data + bytes(len(data) % 2))
        return place

    places, sizes = [append(part) for part in parts], list(map(len, parts))
    code = {zlib.compress: 8, None: 1}.get(pack, 5)
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * channels, 259: [code]}
    tags |= {262: [2 if channels > 1 else 1], 277: [channels], 284: [2 if planes else 1]}
    tags |= {317: [predictor], 339: [FORMATS[values.dtype.kind]] * channels}
    if tile:
        tags |= {322: [tile], 323: [tile], 324: places, 325: sizes}
    else:
        tags |= {273: places, 278: [high], 279: sizes}
    tags |= dict(more)
    records = b""
    for tag in sorted(tags):
        value = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        value = value if len(value) == 4 else struct.pack(order + "I", append(value))
        records += struct.pack(order + "HHI", tag, 4, len(tags[tag])) + value
    struct.pack_into(order + "I", result, 4, len(result))
    return bytes(result) + struct.pack(order + "H", len(tags)) + records + bytes(4)


def _predicted(block, order, predictor):
    """Bytes of a strip or tile after its predictor, as TIFF 6.0 and Adobe's note 3 define it."""
    height, width, channels = block.shape
    if predictor == 2:
        numbers = block.view(f"u{block.itemsize}").copy()
        numbers[:, 1:] -= numbers[:, :-1].copy()
        block = numbers
    if predictor == 3:
        rows = block.astype(block.dtype.newbyteorder(">")).view(np.uint8)
        planes = rows.reshape(height, -1, block.itemsize).transpose(0, 2, 1).reshape(height, -1)
        differences = planes.copy()
        differences[:, channels:] -= planes[:, :-channels]
        return differences.tobytes()
    return block.astype(block.dtype.newbyteorder(order)).tobytes()


def lzw(data):
    """Compresses as TIFF's LZW does, without a table: a clear code before 250 bytes at a time."""
    codes = [
        code for at in range(0, len(data), 250) for code in (256, *data[at : at + 250])
    ]  # Codes have 9 bits until the table has 511 entries.
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
