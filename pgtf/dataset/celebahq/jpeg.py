"""A JPEG decoder with the bits of libjpeg 8d: section 2 of docs/celebahq.md.

It decodes baseline, extended and progressive Huffman coding with 8 bits and three components. This
file reads the markers, `jpeg_entropy` the coefficients; `jpeg_pixels` computes the samples.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np

from pgtf.dataset.celebahq import jpeg_entropy, jpeg_pixels, jpeg_progressive
from pgtf.foreign.limits import check_scans, check_size

MAX_PIXELS = 1 << 26  # guards the memory; the largest CelebA photographs have 1 << 24
MAX_TABLES = 1000  # Huffman tables in a file; a progressive one has about 10
SOI, EOI, SOS, DQT, DHT, DRI, APP0, APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xE0, 0xEE
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
REFUSED = {  # frame headers, ITU-T T.81 table B.1
    **dict.fromkeys((0xC3, 0xC5, 0xC6, 0xC7), "lossless or hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic"),
}
WITHOUT_BODY = {0x00, 0x01, *range(0xD0, 0xD9)}
# A marker ends entropy-coded data; FF 00 stands for the byte FF.
MARKER = re.compile(rb"\xff([^\x00\xff])")
RESTARTS = range(0xD0, 0xD8)
TRUNCATED = "the JPEG file is truncated: it has no end marker."


@dataclasses.dataclass
class Component:
    """One colour component of the frame."""

    name: int  # component identifier
    h: int  # sampling factors
    v: int
    table: int  # number of the quantization table
    blocks_wide: int = 0  # stored: whole MCUs
    blocks_high: int = 0
    coded_wide: int = 0  # in a scan that has no other component
    coded_high: int = 0
    quantization: np.ndarray | None = None  # int64 [64], zigzag order, valid at its first scan
    coefficients: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int16))


@dataclasses.dataclass
class Decoder:
    """State of the decoder: everything that the markers read so far define."""

    data: bytes
    quantization: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    dc_tables: dict[int, jpeg_entropy.Huffman] = dataclasses.field(default_factory=dict)
    ac_tables: dict[int, jpeg_entropy.Huffman] = dataclasses.field(default_factory=dict)
    num_tables: int = 0  # Huffman tables read so far
    restart_interval: int = 0  # MCUs; 0 = none
    has_jfif: bool = False
    adobe_transform: int | None = None  # None = no Adobe marker
    progressive: bool = False
    width: int = 0
    height: int = 0
    components: list[Component] = dataclasses.field(default_factory=list)

    @property
    def h_max(self) -> int:
        return max(component.h for component in self.components)

    @property
    def v_max(self) -> int:
        return max(component.v for component in self.components)

    @property
    def is_ycc(self) -> bool:
        """True if the components are Y, Cb, Cr; False if they are R, G, B."""
        if self.has_jfif:
            return True
        if self.adobe_transform is not None:
            return self.adobe_transform != 0
        return bytes(component.name for component in self.components) != b"RGB"


def decode(data: bytes) -> np.ndarray:
    """Decodes a JPEG file -> uint8 [3, H, W], channels R, G, B. Ignores EXIF rotation.

    Raises:
        ValueError: the file is damaged, truncated, or of a kind that does not occur in CelebA.
    """
    try:
        decoder = _read(data)
    except IndexError as error:
        raise ValueError("the JPEG file is damaged: a header is too short.") from error
    planes = [
        jpeg_pixels.plane(
            component.coefficients.reshape(component.blocks_high, component.blocks_wide, 64),
            component.quantization,
            (decoder.h_max, component.h),
            (decoder.v_max, component.v),
        )[: decoder.height, : decoder.width]
        for component in decoder.components
        if component.quantization is not None
    ]
    if len(planes) < 3:
        raise ValueError("the JPEG file is damaged: it ends before all its components.")
    return jpeg_pixels.rgb(planes) if decoder.is_ycc else np.stack(planes)


def _read(data: bytes) -> Decoder:
    """Reads all markers and scans."""
    if data[:2] != bytes((0xFF, SOI)):
        raise ValueError(f"not a JPEG file. Received: first bytes {data[:8]!r}.")
    decoder = Decoder(data)
    at = 2
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) - 1 and data[at + 1] == 0xFF:
            at += 1
        if not 0 <= at < len(data) - 1:
            raise ValueError(TRUNCATED)
        marker = data[at + 1]
        at += 2
        if marker == EOI:
            return decoder
        if marker in WITHOUT_BODY:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if at + length > len(data):
            raise ValueError(TRUNCATED)
        body = data[at + 2 : at + length]
        at += length
        if marker in REFUSED:
            raise ValueError(f"the JPEG file must use Huffman coding. Received: {REFUSED[marker]}.")
        if marker in (BASELINE, EXTENDED, PROGRESSIVE):
            _frame(decoder, body, marker == PROGRESSIVE)
        elif marker == DQT:
            _quantization_tables(decoder, body)
        elif marker == DHT:
            _huffman_tables(decoder, body)
        elif marker == DRI:
            decoder.restart_interval = body[0] << 8 | body[1]
        elif marker == APP0 and body[:5] == b"JFIF\0":
            decoder.has_jfif = True
        elif marker == APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            decoder.adobe_transform = body[11]
        elif marker == SOS:
            at = _scan(decoder, body, at)


def _quantization_tables(decoder: Decoder, body: bytes) -> None:
    while body:
        width = 2 if body[0] >> 4 else 1
        values = np.frombuffer(body[1 : 1 + 64 * width], f">u{width}").astype(np.int64)
        if len(values) != 64:
            raise IndexError
        decoder.quantization[body[0] & 15] = values
        body = body[1 + 64 * width :]


def _huffman_tables(decoder: Decoder, body: bytes) -> None:
    while body:
        decoder.num_tables += 1
        if decoder.num_tables > MAX_TABLES:
            raise ValueError("the JPEG file is damaged: it has too many Huffman tables.")
        counts = body[1:17]
        symbols = body[17 : 17 + sum(counts)]
        tables = decoder.ac_tables if body[0] >> 4 else decoder.dc_tables
        tables[body[0] & 15] = jpeg_entropy.huffman(counts, symbols)
        body = body[17 + sum(counts) :]


def _frame(decoder: Decoder, body: bytes, progressive: bool) -> None:
    bits, num_components = body[0], body[5]
    if decoder.components:
        raise ValueError("the JPEG file is damaged: it has two frame headers.")
    if bits != 8:
        raise ValueError(f"the JPEG file must have 8 bits per sample. Received: {bits}.")
    if num_components != 3:
        kind = {1: " (grayscale)", 4: " (CMYK)"}.get(num_components, "")
        raise ValueError(
            f"the JPEG file must have 3 colour components. Received: {num_components}{kind}."
        )
    decoder.progressive = progressive
    decoder.height, decoder.width = body[1] << 8 | body[2], body[3] << 8 | body[4]
    if not 0 < decoder.height * decoder.width <= MAX_PIXELS:
        raise ValueError(
            f"the JPEG file must have 1 to {MAX_PIXELS} pixels. "
            f"Received: {decoder.width}x{decoder.height}."
        )
    check_size((decoder.width, decoder.height), len(decoder.data))
    check_scans(decoder.data, 0, decoder.height * decoder.width)
    decoder.components = [
        Component(name, factors >> 4, factors & 15, table)
        for name, factors, table in (body[6 + 3 * n : 9 + 3 * n] for n in range(3))
    ]
    if not all(1 <= c.h <= 4 and 1 <= c.v <= 4 for c in decoder.components):
        raise ValueError("the JPEG file is damaged: a sampling factor is not 1 to 4.")
    for component in decoder.components:
        jpeg_pixels.enlargement(decoder.h_max, component.h)
        jpeg_pixels.enlargement(decoder.v_max, component.v)
    mcus_wide = math.ceil(decoder.width / (8 * decoder.h_max))
    mcus_high = math.ceil(decoder.height / (8 * decoder.v_max))
    for component in decoder.components:
        component.blocks_wide = mcus_wide * component.h
        component.blocks_high = mcus_high * component.v
        component.coded_wide = math.ceil(decoder.width * component.h / decoder.h_max / 8)
        component.coded_high = math.ceil(decoder.height * component.v / decoder.v_max / 8)
        num_blocks = component.blocks_wide * component.blocks_high
        component.coefficients = np.zeros((num_blocks, 64), np.int16)


def _scan(decoder: Decoder, header: bytes, at: int) -> int:
    """Reads one scan whose entropy-coded data starts at `at`; returns where the data ends."""
    count = header[0]
    if len(header) != 4 + 2 * count:
        raise IndexError
    names = [component.name for component in decoder.components]
    components = [decoder.components[_index(names, header[1 + 2 * n])] for n in range(count)]
    for component in components:
        if component.quantization is None:
            component.quantization = decoder.quantization.get(component.table)
    segments, at = _segments(decoder.data, at)
    tables = header[2 : 2 + 2 * count : 2]
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    scan = jpeg_entropy.Scan(
        parts=[
            jpeg_entropy.Part(
                component.coefficients,
                blocks,
                dc=decoder.dc_tables.get(table >> 4),
                ac=decoder.ac_tables.get(table & 15),
            )
            for component, blocks, table in zip(
                components, _block_order(components), tables, strict=True
            )
        ],
        segments=segments,
        restart_interval=decoder.restart_interval,
        first=first,
        last=last,
        high_bit=approximation >> 4,
        low_bit=approximation & 15,
    )
    if decoder.progressive:
        jpeg_progressive.read_progressive(scan)
    else:
        jpeg_entropy.read_sequential(scan)
    return at


def _index(names: Sequence[int], name: int) -> int:
    if name not in names:
        raise ValueError("the JPEG file is damaged: a scan names an unknown component.")
    return names.index(name)


def _block_order(components: Sequence[Component]) -> list[np.ndarray]:
    """Block numbers of each component in coding order: int64 [MCUs, blocks per MCU] each."""
    if len(components) == 1:
        (component,) = components
        rows = np.arange(component.coded_high)[:, np.newaxis] * component.blocks_wide
        return [(rows + np.arange(component.coded_wide)).reshape(-1, 1)]
    orders = []
    for component in components:
        numbers = np.arange(component.blocks_high * component.blocks_wide)
        shape = -1, component.v, component.blocks_wide // component.h, component.h
        mcus = numbers.reshape(shape).swapaxes(1, 2)
        orders.append(mcus.reshape(-1, component.v * component.h))
    return orders


def _segments(data: bytes, at: int) -> tuple[list[bytes], int]:
    """Splits entropy-coded data at restart markers -> segments, place of the marker after them."""
    segments = []
    for marker in MARKER.finditer(data, at):
        # Any number of bytes FF may stand before a marker.
        segments.append(data[at : marker.start()].rstrip(b"\xff").replace(b"\xff\x00", b"\xff"))
        if marker[1][0] not in RESTARTS:
            return segments, marker.start()
        at = marker.end()
    raise ValueError(TRUNCATED)
