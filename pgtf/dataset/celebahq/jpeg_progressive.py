"""Progressive JPEG: each scan has a band or some bits of the coefficients. ITU-T T.81, G.2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pgtf.dataset.celebahq.jpeg_entropy import (
    DAMAGED,
    END,
    ZRL,
    Bits,
    Part,
    Scan,
    present,
    read_ac,
    read_dc,
    walk_blocks,
)


def read_progressive(scan: Scan) -> None:
    """Reads one scan of a progressive file into its coefficients."""
    if scan.first > 0 and (len(scan.parts) > 1 or not scan.first <= scan.last <= 63):
        raise ValueError(DAMAGED)
    for bits, parts in scan.intervals():
        if scan.first > 0:
            read = _refine_ac if scan.high_bit else _read_first_ac
            read(scan, bits, parts[0])
        elif scan.high_bit:
            _refine_dc(scan, bits, parts)
        else:
            for part, starts in zip(parts, walk_blocks(bits, parts, last=0), strict=True):
                read_dc(bits, starts, part, scan.low_bit)


def _refine_dc(scan: Scan, bits: Bits, parts: Sequence[Part]) -> None:
    """Reads one more bit of each DC coefficient."""
    per_mcu = [part.blocks.shape[1] for part in parts]
    at = np.arange(len(parts[0].blocks) * sum(per_mcu)).reshape(-1, sum(per_mcu))
    bits.check_end(at.size)
    columns = np.split(bits.windows(at) >> 15, np.cumsum(per_mcu)[:-1], axis=1)
    for part, ones in zip(parts, columns, strict=True):
        part.coefficients[part.blocks, 0] |= (ones << scan.low_bit).astype(np.int16)


def _read_first_ac(scan: Scan, bits: Bits, part: Part) -> None:
    """Reads the high bits of a band. End-of-band runs stand for blocks without any."""
    table = present(part.ac)
    run, size = table.symbol >> 4, table.symbol & 15
    ends = table.ends_block
    lengths, steps = bits.look_up(
        [table.length + np.where(ends, run, size), np.where(ends, END + run, run + 1)]
    )
    starts: list[int] = []
    visited: list[int] = []
    at = block = step = 0
    try:
        while block < len(part.blocks):
            starts.append(at)
            visited.append(block)
            k = scan.first - 1
            while k < scan.last:
                step = steps[at]
                k += step
                at += lengths[at]
            block += 1
            if step > END:  # a run of 2^n blocks, plus the number in the next n bits
                block += (1 << step - END) - 1 + bits.number(at - (step - END), step - END)
    except IndexError:
        at = bits.num_bits + 1
    bits.check_end(at)
    band = scan.first, scan.last
    read_ac(bits, np.array(starts), part, part.blocks[visited, 0], band, scan.low_bit)


def _refine_ac(scan: Scan, bits: Bits, part: Part) -> None:
    """Reads one more bit of a band.

    Each coefficient that is already non-zero has a correction bit. These bits follow the symbol of
    the next coefficient that becomes non-zero, and that symbol counts only zero coefficients.
    """
    band = slice(scan.first, scan.last + 1)
    blocks = part.blocks[:, 0]
    values = part.coefficients[blocks, band]
    old, zeros = np.flatnonzero(values), np.flatnonzero(values == 0)
    corrections, new, signs = _walk_refinement(bits, part, values)
    bit = 1 << scan.low_bit
    flat = values.reshape(-1)
    ones = bits.windows(corrections) >> 15
    flat[old] += (np.sign(flat[old]) * ones * bit).astype(np.int16)
    flat[zeros[new]] = np.where(bits.windows(signs) >> 15, bit, -bit)
    part.coefficients[blocks, band] = values


def _walk_refinement(
    bits: Bits, part: Part, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the bits that refine a band with the values int16 [blocks, width].

    Returns:
        int64 arrays: positions of the correction bits, one per non-zero value, in order; indices of
        the zeros that become non-zero; positions of their sign bits.
    """
    table = present(part.ac)
    lengths, symbols = bits.look_up([table.length, table.symbol])
    num_blocks, width = values.shape
    nonzeros = np.concatenate([[0], np.cumsum(np.count_nonzero(values, axis=1))]).tolist()
    zeros = (np.flatnonzero(values == 0) % width).astype(np.uint8).tobytes()  # place in the band
    starts: list[int] = []  # runs of correction bits: first position and length
    counts: list[int] = []
    new: list[int] = []
    signs: list[int] = []
    at = block = 0
    try:
        while block < num_blocks:
            zero = first_zero = block * width - nonzeros[block]
            end_zero = first_zero + width - nonzeros[block + 1] + nonzeros[block]
            corrected = nonzeros[block]
            place = -1  # place in the band of the last coefficient reached
            while place < width - 1:
                symbol = symbols[at]
                run = symbol >> 4
                if not lengths[at]:
                    raise ValueError(DAMAGED)
                at += lengths[at]
                if symbol & 15:
                    new.append(zero + run)
                    signs.append(at)
                    at += 1
                elif symbol != ZRL:  # end of band, here and in the next blocks
                    block += (1 << run) - 1 + (bits.number(at, run) if run else 0)
                    at += run
                    starts.append(at)
                    counts.append(nonzeros[block + 1] - corrected)
                    at += counts[-1]
                    break
                zero += run
                if zero >= end_zero:
                    raise ValueError(DAMAGED)
                place = zeros[zero]
                passed = nonzeros[block] + place - (zero - first_zero)
                starts.append(at)
                counts.append(passed - corrected)
                at += counts[-1]
                corrected = passed
                zero += 1
            block += 1
    except IndexError:
        at = bits.num_bits + 1
    bits.check_end(at)
    return _positions(starts, counts), np.array(new, np.int64), np.array(signs, np.int64)


def _positions(starts: Sequence[int], counts: Sequence[int]) -> np.ndarray:
    """All positions in runs of consecutive ones: int64 [sum of counts]."""
    lengths = np.array(counts, np.int64)
    before = np.cumsum(lengths) - lengths
    positions = np.repeat(np.array(starts, np.int64) - before, lengths)
    return np.asarray(positions + np.arange(len(positions)))
