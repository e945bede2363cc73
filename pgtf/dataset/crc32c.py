"""CRC-32C (Castagnoli) of many records of equal length, in NumPy, for TFRecord files.

A message is a polynomial over GF(2) whose first byte has the highest degree; its CRC is that
polynomial times x^32, modulo P. Two facts make it fast without compiled code:

- P divides x^5685 + x^1362 + x^426 + 1, hence also (squared three times) the same sum with x^8 in
  place of x. So any byte may be cleared by XORing it onto the bytes 4323, 5259 and 5685 places
  after it: XORs of whole blocks shorten a message to 5685 bytes.
- The CRC of the rest is the XOR of one table entry per byte, 64 bytes at a time.
"""

from __future__ import annotations

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # P of CRC-32C without x^32, lowest degree in the highest bit
FOLD = (4323, 5259, 5685)  # a - b, a - c and a of x^a + x^b + x^c + 1, here in bytes
ROW = 64  # bytes per table look-up
# Bytes of folded messages at a time. Their table indices stay in the cache.
CACHED = 1 << 16
MASK_DELTA = 0xA282EAD8  # TFRecord files store a rotated CRC plus this constant


def crc32c(messages: np.ndarray) -> np.ndarray:
    """Computes the CRC-32C of each row: uint8 [N, L] -> uint32 [N]; L >= 4."""
    num, length = messages.shape
    step = max(CACHED // min(length, FOLD[-1]), 1)
    crcs = [_crc32c(messages[start : start + step]) for start in range(0, num, step)]
    return np.concatenate([np.zeros(0, np.uint32), *crcs])


def _crc32c(messages: np.ndarray) -> np.ndarray:
    work = messages.copy()
    work[:, :4] ^= 0xFF  # the register starts as all ones
    work = _look_up(_fold(work), 0)
    level = 1
    while work.shape[1] > 4:
        work = _look_up(work, level)
        level += 1
    return ~work.view("<u4")[:, 0]


def masked_crc32c(messages: np.ndarray) -> np.ndarray:
    """Computes CRCs as TFRecord files store them: uint8 [N, L] -> little-endian uint32 [N]."""
    crc = crc32c(messages)
    return ((crc >> 15 | crc << 17) + np.uint32(MASK_DELTA)).astype("<u4")


def _fold(work: np.ndarray) -> np.ndarray:
    """Shortens rows to FOLD[-1] bytes without changing their CRC; overwrites its argument."""
    while (surplus := work.shape[1] - FOLD[-1]) > 0:
        size = min(FOLD[0], surplus)
        for distance in FOLD:
            work[:, distance : distance + size] ^= work[:, :size]
        work = work[:, size:]
    return work


def _look_up(work: np.ndarray, level: int) -> np.ndarray:
    """Replaces each ROW bytes by their 4-byte CRC: uint8 [N, L] -> [N, 4 * ceil(L / ROW)]."""
    num, length = work.shape
    rows = -(-length // ROW)
    padded = np.zeros((num, rows * ROW), np.uint8)  # zeros in front do not change a CRC
    padded[:, rows * ROW - length :] = work
    indices = padded.reshape(-1, ROW) + np.arange(0, ROW * 256, 256)
    crcs: np.ndarray = np.bitwise_xor.reduce(_tables(level).take(indices), axis=1)  # [num * rows]
    return crcs.astype("<u4").view(np.uint8).reshape(num, rows * 4)


@functools.cache
def _tables(level: int) -> np.ndarray:
    """Contribution of each byte value at each place of a row to the CRC: uint32 [ROW * 256].

    A row holds message bytes at level 0, and 16 CRCs, each of ROW * 16^(k-1) bytes, at level k.
    """
    values = np.arange(256, dtype=np.uint32)
    if level == 0:
        step = _power(8)
        columns = [_multiply(values, step)]  # the last place, where a byte counts times x^8
    else:
        step = _power(8 * ROW * (ROW // 4) ** (level - 1))
        columns = [np.concatenate([values << np.uint32(8 * byte) for byte in range(4)])]
    while len(columns) * columns[0].size < ROW * 256:
        columns.append(_multiply(columns[-1], step))
    return np.concatenate(columns[::-1])


def _power(degree: int) -> np.ndarray:
    """Computes x^degree modulo P: uint32 [1]."""
    power = np.array([1 << 31], np.uint32)  # 1: lowest degree in the highest bit
    square = np.array([1 << 30], np.uint32)  # x
    while degree:
        if degree & 1:
            power = _multiply(power, square)
        square = _multiply(square, square)
        degree >>= 1
    return power


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiplies polynomials [N] by one [1], modulo P; the highest bit is degree 0."""
    product = np.zeros_like(a)
    for degree in range(32):
        if int(b[0]) >> (31 - degree) & 1:
            product = product ^ a
        a = (a >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (a & np.uint32(1)))
    return product
