"""Huffman-coded JPEG coefficients, read by NumPy wherever the data allows it.

The start of a symbol is known only when the previous symbol has been read. NumPy therefore computes
for every bit of the data the length of a symbol that would start there; plain Python then walks
from symbol to symbol, with two look-ups each. Finally NumPy reads the values of all blocks at once.
ITU-T T.81, section F.2; `jpeg_progressive` has section G.2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

WINDOW = 16  # bits; no code is longer
PADDING = bytes(64)  # appended, so that a walk may run past the end before that is noticed
CHUNK = 1 << 15  # bytes looked up at a time, so that their windows stay in the cache
ZRL = 0xF0  # symbol: 16 zeros
END = 64  # step of a symbol that ends its block
DAMAGED = "the JPEG file is damaged: its entropy-coded data cannot be read."


@dataclasses.dataclass(frozen=True)
class Huffman:
    """A Huffman code as tables indexed by the next 16 bits: uint8 [65536] each."""

    length: np.ndarray  # bits; 0 = no such code
    symbol: np.ndarray  # AC: zeros before the coefficient * 16 + bits of the coefficient

    @property
    def length_with_value(self) -> np.ndarray:
        """Bits of the code and of the value that follows it."""
        return np.asarray(self.length + (self.symbol & 15))

    @property
    def ends_block(self) -> np.ndarray:
        """True where an AC symbol ends its block, and where there is no code: bool [65536]."""
        return np.asarray((self.symbol & 15 == 0) & (self.symbol != ZRL))


@dataclasses.dataclass(frozen=True)
class Part:
    """One component's share of a scan or of a restart interval."""

    coefficients: np.ndarray  # int16 [blocks, 64], zigzag order; all of the component's, filled in
    blocks: np.ndarray  # int64 [MCUs, blocks per MCU]: block numbers in coding order
    dc: Huffman | None
    ac: Huffman | None


@dataclasses.dataclass(frozen=True)
class Scan:
    """One scan of a file."""

    parts: list[Part]
    segments: list[bytes]  # data between restart markers
    restart_interval: int  # MCUs; 0 = none
    first: int  # spectral band
    last: int
    high_bit: int  # successive approximation: previous lowest bit; 0 = first scan of this band
    low_bit: int  # lowest bit after this scan

    def intervals(self) -> Iterator[tuple[Bits, list[Part]]]:
        """Yields the data of each restart interval and the parts restricted to its blocks.

        Raises:
            ValueError: there are fewer segments than intervals.
        """
        num_mcus = len(self.parts[0].blocks)
        interval = self.restart_interval or num_mcus
        starts = range(0, num_mcus, interval)
        if len(self.segments) < len(starts):
            raise ValueError("the JPEG file is damaged: a restart marker is missing.")
        for start, segment in zip(starts, self.segments, strict=False):
            mcus = slice(start, start + interval)
            yield (
                Bits(segment),
                [dataclasses.replace(part, blocks=part.blocks[mcus]) for part in self.parts],
            )


class Bits:
    """Entropy-coded data as bits; positions are counted in bits."""

    def __init__(self, data: bytes):
        padded = np.frombuffer(data + PADDING + bytes(2), np.uint8).astype(np.uint32)
        self.num_bits = 8 * len(data)
        self.words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]  # a byte and two more

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """The 16 bits that start at each position: int64 [n] -> int64 [n]."""
        words = self.words[positions >> 3].astype(np.int64)
        return np.asarray(words >> (8 - (positions & 7)) & 0xFFFF)

    def number(self, position: int, size: int) -> int:
        """The next `size` bits, at most 16, as an unsigned number."""
        return int(self.words[position >> 3]) >> (24 - (position & 7) - size) & ((1 << size) - 1)

    def signed(self, positions: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Decodes coefficients of `sizes` bits at the positions. T.81, figure F.12."""
        numbers = self.windows(positions) >> (WINDOW - sizes)
        negative = numbers >> np.maximum(sizes - 1, 0) == 0
        return np.asarray(np.where(negative, numbers - (1 << sizes) + 1, numbers))

    def look_up(self, tables: Sequence[np.ndarray]) -> list[bytes]:
        """Looks up the window at every position in uint8 [65536] tables -> bytes per table."""
        results = [np.empty((len(self.words), 8), np.uint8) for _ in tables]
        for start in range(0, len(self.words), CHUNK):
            words = self.words[start : start + CHUNK]
            for bit in range(8):
                windows = (words >> np.uint32(8 - bit) & np.uint32(0xFFFF)).astype(np.intp)
                for table, result in zip(tables, results, strict=True):
                    result[start : start + CHUNK, bit] = table.take(windows)
        return [result.tobytes() for result in results]

    def check_end(self, position: int) -> None:
        """Raises ValueError if reading has run past the end of the data."""
        if position > self.num_bits:
            raise ValueError("the JPEG file is damaged: its entropy-coded data ends early.")


def huffman(counts: bytes, symbols: bytes) -> Huffman:
    """Builds a code from the number of codes of each length 1-16 and their symbols."""
    lengths = np.repeat(np.arange(1, len(counts) + 1), list(counts))
    spans = 1 << (WINDOW - lengths)  # codes ascend, so the windows of a code are consecutive
    end = int(spans.sum())
    if len(symbols) != len(lengths) or end > 1 << WINDOW:
        raise ValueError("the JPEG file is damaged: a Huffman table is impossible.")
    length = np.zeros(1 << WINDOW, np.uint8)
    symbol = np.zeros(1 << WINDOW, np.uint8)
    length[:end] = np.repeat(lengths, spans)
    symbol[:end] = np.repeat(np.frombuffer(symbols, np.uint8), spans)
    return Huffman(length, symbol)


def present(table: Huffman | None) -> Huffman:
    """Returns a table that the scan needs.

    Raises:
        ValueError: the file does not define the table.
    """
    if table is None:
        raise ValueError("the JPEG file is damaged: a scan uses a Huffman table that is missing.")
    return table


def read_sequential(scan: Scan) -> None:
    """Reads a scan of a baseline or extended file into its coefficients."""
    for bits, parts in scan.intervals():
        for part, starts in zip(parts, walk_blocks(bits, parts, last=63), strict=True):
            behind = read_dc(bits, starts, part, 0)
            read_ac(bits, behind, part, part.blocks.reshape(-1), (1, 63), 0)


def walk_blocks(bits: Bits, parts: Sequence[Part], last: int) -> list[np.ndarray]:
    """Finds the start of each block; `last` = 63, or 0 if only DC coefficients are coded.

    Returns:
        The bit positions in each part, in coding order: int64 [blocks] each.
    """
    mcu: list[tuple[bytes, bytes, bytes]] = []
    for part in parts:
        tables = [present(part.dc).length_with_value]
        if last:
            tables += [present(part.ac).length_with_value, _steps(present(part.ac))]
        lengths, *rest = bits.look_up(tables)
        ac_lengths, ac_steps = rest or (b"", b"")
        mcu += [(lengths, ac_lengths, ac_steps)] * part.blocks.shape[1]
    starts: list[int] = []
    at = 0
    try:
        for _ in range(len(parts[0].blocks)):
            for dc_lengths, ac_lengths, ac_steps in mcu:
                starts.append(at)
                at += dc_lengths[at]
                k = 0
                while k < last:
                    k += ac_steps[at]
                    at += ac_lengths[at]
    except IndexError:
        at = bits.num_bits + 1
    bits.check_end(at)
    splits = np.cumsum([part.blocks.shape[1] for part in parts])[:-1]
    columns = np.split(np.array(starts, np.int64).reshape(-1, len(mcu)), splits, axis=1)
    return [column.reshape(-1) for column in columns]


def _steps(ac: Huffman) -> np.ndarray:
    """Coefficients by which each symbol advances in its block, uint8 [65536]; END = to its end."""
    return np.where(ac.ends_block, END, (ac.symbol >> 4) + 1).astype(np.uint8)


def read_dc(bits: Bits, at: np.ndarray, part: Part, low_bit: int) -> np.ndarray:
    """Reads DC coefficients, coded as differences, at bit positions -> positions after them."""
    table = present(part.dc)
    windows = bits.windows(at)
    lengths, sizes = table.length[windows], table.symbol[windows].astype(np.int64)
    if not lengths.all() or sizes.max() > 15:
        raise ValueError(DAMAGED)
    at = at + lengths
    part.coefficients[part.blocks.reshape(-1), 0] = np.cumsum(bits.signed(at, sizes)) << low_bit
    return np.asarray(at + sizes)


def read_ac(
    bits: Bits, at: np.ndarray, part: Part, blocks: np.ndarray, band: tuple[int, int], low_bit: int
) -> None:
    """Reads a band (first, last) of coefficients in blocks that start at bit positions."""
    table = present(part.ac)
    first, last = band
    k = np.full(len(at), first - 1)
    while len(at):
        windows = bits.windows(at)
        lengths, symbols = table.length[windows], table.symbol[windows].astype(np.int64)
        sizes = symbols & 15
        goes_on = (sizes > 0) | (symbols == ZRL)
        k = k + (symbols >> 4) + 1
        if not lengths.all() or k[goes_on].max(initial=0) > last:
            raise ValueError(DAMAGED)
        at = at + lengths
        new = np.flatnonzero(sizes)
        part.coefficients[blocks[new], k[new]] = bits.signed(at[new], sizes[new]) << low_bit
        goes_on &= k < last
        at, k, blocks = (at + sizes)[goes_on], k[goes_on], blocks[goes_on]
