"""Small photographs made on the spot, encoded in the ways of cameras, phones and programs."""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import zlib

import numpy as np
import PIL.Image

from benchmarks.data import draw_photograph
from benchmarks.libjpeg import encode

NUM_DISTINCT = 8  # pictures of one size
CONTAINERS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif"}
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
PNG_HEAD = 33  # bytes of the signature and of the first chunk
XMP_TEXT = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="{}"/>'
    "</rdf:RDF></x:xmpmeta>"
)


@dataclasses.dataclass(frozen=True)
class Photograph:
    """An encoded picture without metadata."""

    kind: str  # key of CONTAINERS
    content: bytes
    pixels: np.ndarray  # as Pillow decodes it: uint8 [C, H, W], of one channel or three
    image: PIL.Image.Image  # before it was encoded
    name: str  # of the kind and the mode of its pixels
    checksum: int  # of its pixels as libjpeg gives them

    @property
    def is_plain(self) -> bool:
        """True for gray and RGB, which the commands read without any conversion."""
        return not self.name.endswith("CMYK")


@functools.lru_cache(maxsize=32)
def picture(number: int, side: int) -> PIL.Image.Image:
    """One of NUM_DISTINCT pictures, RGB."""
    return PIL.Image.fromarray(draw_photograph(np.random.default_rng(number), side))


def jpeg(rng: np.random.Generator, side: int) -> Photograph:
    """A JPEG file: gray, color or CMYK; of any coding and subsampling, with restarts or without."""
    image = picture(int(rng.integers(NUM_DISTINCT)), side)
    mode = str(rng.choice(["RGB", "L", "CMYK"], p=[0.7, 0.15, 0.15]))
    restart = int(rng.choice([0, rng.integers(1, 20)], p=[0.65, 0.35]))
    progressive = bool(rng.integers(2))
    image = image.convert(mode)
    rare = int(rng.integers(16))
    if rare < 2:
        options = {"arithmetic": rare == 0, "progressive": progressive}
        if rare:  # factors that few decoders know
            options["sampling"] = [(1, 1), (2, 2), (1, 1), (1, 2)][: len(mode)]
        shaped = np.asarray(image).reshape(side, side, -1)
        found = _decoded(image, "JPEG", encode(shaped, restart_interval=restart, **options))
        return dataclasses.replace(
            found, name=f"{'oddly sampled' if rare else 'arithmetic'} {found.name}"
        )
    options = {"quality": int(rng.integers(60, 98)), "subsampling": int(rng.integers(3))}
    options |= {"optimize": bool(rng.integers(2)), "restart_marker_blocks": restart}
    return _encoded(image, "JPEG", progressive=progressive, **options)


def photograph(rng: np.random.Generator, kind: str, side: int) -> Photograph:
    """A file of a kind, without metadata."""
    if kind == "JPEG":
        return jpeg(rng, side)
    image = picture(int(rng.integers(NUM_DISTINCT)), side)
    if kind in ("PNG", "TIFF") and rng.integers(3) == 0:
        image = image.convert("L")
    return _encoded(image, kind, **({"lossless": bool(rng.integers(2))} if kind == "WEBP" else {}))


def _encoded(image: PIL.Image.Image, kind: str, **options: object) -> Photograph:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return _decoded(image, kind, buffer.getvalue())


def _decoded(image: PIL.Image.Image, kind: str, content: bytes) -> Photograph:
    with PIL.Image.open(io.BytesIO(content)) as file:
        stored = np.asarray(file)
        if file.mode == "CMYK":  # Pillow inverts these.
            stored, file = 255 - stored, file.convert("RGB")
        name = f"{kind} {image.mode}"
        pixels = np.atleast_3d(np.asarray(file)).transpose(2, 0, 1)
    return Photograph(kind, content, pixels, image, name, zlib.crc32(stored.tobytes()))


def segment(marker: int, body: bytes, extra: int = 0) -> bytes:
    """A segment of a JPEG file whose length is wrong by `extra`."""
    return struct.pack(">BBH", 0xFF, marker, (len(body) + 2 + extra) % (1 << 16)) + body


def with_metadata(
    photo: Photograph,
    exif: bytes | None,
    *,
    more: tuple[bytes, ...] = (),
    xmp: int | None = None,
    extra: int = 0,
    broken_checksum: bool = False,
) -> bytes:
    """Adds metadata to a file.

    Args:
        photo: the file.
        exif: EXIF data; None = none.
        more: EXIF data of further segments; JPEG only.
        xmp: orientation in XMP data; None = none.
        extra: error of the length of the first EXIF segment; JPEG only.
        broken_checksum: make the checksum of the EXIF data wrong; PNG only.
    """
    text = None if xmp is None else XMP_TEXT.format(xmp).encode()
    content = photo.content
    if photo.kind == "JPEG":
        parts = [] if exif is None else [segment(0xE1, EXIF + exif, extra)]
        parts += [segment(0xE1, EXIF + block) for block in more]
        parts += [] if text is None else [segment(0xE1, XMP + text)]
        return content[:2] + b"".join(parts) + content[2:]
    if photo.kind == "PNG":
        parts = [] if exif is None else [chunk(b"eXIf", exif, int(broken_checksum))]
        parts += [] if text is None else [chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + text)]
        return content[:PNG_HEAD] + b"".join(parts) + content[PNG_HEAD:]
    if photo.kind == "WEBP":
        return _webp(photo, exif, text)
    if photo.kind == "AVIF":
        return _avif(photo, exif or b"")
    raise ValueError(f"a {photo.kind} file has its EXIF data among its own")


def chunk(name: bytes, body: bytes, error: int = 0) -> bytes:
    """A chunk of a PNG file, whose checksum may have an error."""
    checksum = zlib.crc32(name + body) ^ error
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def _webp(photo: Photograph, exif: bytes | None, xmp: bytes | None) -> bytes:
    height, width = photo.pixels.shape[1:]
    flags = 8 * (exif is not None) + 4 * (xmp is not None)
    head = bytes([flags, 0, 0, 0]) + b"".join(
        (size - 1).to_bytes(3, "little") for size in (width, height)
    )
    at = 12
    while photo.content[at : at + 4] not in (b"VP8 ", b"VP8L"):
        at += 8 + int.from_bytes(photo.content[at + 4 : at + 8], "little")
    parts = [_riff(b"VP8X", head), photo.content[at:]]
    parts += [_riff(name, x) for name, x in ((b"EXIF", exif), (b"XMP ", xmp)) if x is not None]
    return _riff(b"RIFF", b"WEBP" + b"".join(parts))


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _avif(photo: Photograph, exif: bytes) -> bytes:
    """Writes EXIF data over valid ones of the same length, which Pillow stores."""
    exif += bytes(max(26 - len(exif), 0))
    head = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x10E, 7, len(exif) - 26, 26) + bytes(4)
    buffer = io.BytesIO()
    photo.image.save(buffer, "AVIF", exif=EXIF + head + bytes(len(exif) - 26))
    content = buffer.getvalue()
    at = content.index(EXIF + head) + len(EXIF)
    return content[:at] + exif + content[at + len(exif) :]


def tiff(order: str, pixels: np.ndarray, records: list[bytes]) -> bytes:
    """An uncompressed TIFF file of uint8 [C, H, W] with more records of 12 bytes.

    They are sorted among its own by their tags, except that one of an own tag is left out.
    """
    channels, height, width = pixels.shape
    data = np.ascontiguousarray(pixels.transpose(1, 2, 0)).tobytes()
    own = {256: width, 257: height, 258: 8, 259: 1, 262: 2 if channels > 1 else 1}
    own |= {273: 8, 277: channels, 278: height, 279: len(data)}
    packed = {tag: struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in own.items()}
    tag_of = struct.Struct(order + "H")
    others = [record for record in records if tag_of.unpack_from(record)[0] not in packed]
    every = sorted([*packed.values(), *others], key=lambda record: tag_of.unpack_from(record)[0])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(every)) + b"".join(every) + bytes(4)
