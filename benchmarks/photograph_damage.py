"""Ways to damage a JPEG file that has no metadata: its scans, its tables, its order, its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SOI, EOI, SOS, DHT, DQT, ARITHMETIC = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xCC
FRAMES = {*range(0xC0, 0xD0)} - {DHT, 0xC8, ARITHMETIC}
APPLICATIONS = range(0xE0, 0xF0)
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # restart markers belong to a scan
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
SECTOR = 512  # bytes of a disk
MAX_BYTES = 200  # that one damage concerns


class Part(NamedTuple):
    """A segment with its marker, or the data of a scan."""

    marker: int  # 0 = data of a scan
    start: int
    end: int


def parts_of(content: bytes) -> list[Part]:
    """Divides a whole file, without its first and its last marker."""
    found, at = [], 2
    while (marker := content[at + 1]) != EOI:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        found.append(Part(marker, at, end))
        at = end
        if marker == SOS:
            at = next(NEXT_MARKER.finditer(content, end)).start()
            found.append(Part(0, end, at))
    return found


def _place(rng: np.random.Generator, content: bytes) -> tuple[int, int]:
    """A place in the data of the scans, and the number of bytes from there on that are damaged."""
    scans = [part for part in parts_of(content) if not part.marker and part.end > part.start]
    sizes = np.array([part.end - part.start for part in scans])
    part = scans[rng.choice(len(scans), p=sizes / sizes.sum())]
    at = int(rng.integers(part.start, part.end))
    return at, int(rng.integers(1, MAX_BYTES + 1))


def _noise(rng: np.random.Generator, size: int) -> bytes:
    return rng.integers(0, 256, size).astype(np.uint8).tobytes()


def _cut(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    return content[: int(rng.integers(len(content) // 8, len(content) - 2))]


def _ended(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, _ = _place(rng, content)
    return content[:at] + b"\xff\xd9" + content[at + 2 :]


def _inserted(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, size = _place(rng, content)
    return content[:at] + _noise(rng, size) + content[at:]


def _missing(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, size = _place(rng, content)
    return content[:at] + content[min(at + size, len(content) - 2) :]


def _overwritten(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, size = _place(rng, content)
    size = min(size, len(content) - 2 - at)
    return content[:at] + _noise(rng, size) + content[at + size :]


def _zeroed(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, size = _place(rng, content)
    size = min(size, len(content) - 2 - at)
    return content[:at] + bytes(size) + content[at + size :]


def _sector(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Puts zeros, or a part of another file, into a whole sector."""
    at = int(rng.integers(1, max(len(content) // SECTOR, 2))) * SECTOR
    filler = bytes(SECTOR) if rng.integers(2) else (2 * other)[-SECTOR:]
    return (content[:at] + filler + content[at + SECTOR :])[: max(len(content), at + 1)]


def _joined(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Goes on with the data of another photograph."""
    at, _ = _place(rng, content)
    from_there, _ = _place(rng, other)
    return content[:at] + other[from_there:]


def _flipped(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    at, _ = _place(rng, content)
    return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]


def _in_segment(rng: np.random.Generator, content: bytes, markers: set[int]) -> bytes:
    """Changes one byte of a segment, its length included."""
    parts = [part for part in parts_of(content) if part.marker in markers]
    part = parts[rng.integers(len(parts))]
    at = int(rng.integers(part.start + 2, part.end))
    changed = content[at] ^ 1 << int(rng.integers(8)) if rng.integers(2) else rng.integers(256)
    return content[:at] + bytes([int(changed)]) + content[at + 1 :]


def _codes(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    present = {part.marker for part in parts_of(content)}
    return _in_segment(rng, content, {DHT} if DHT in present else {SOS})


def _quantization(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    return _in_segment(rng, content, {DQT})


def _header(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    return _in_segment(rng, content, {SOS, 0xDD, *FRAMES})


def _rearranged(change: Callable[..., list[Part]]) -> Callable[..., bytes]:
    """Makes a damage of a function that changes the list of segments, scans being data of them."""

    def damage(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
        parts = change(rng, parts_of(content))
        return content[:2] + b"".join(content[x.start : x.end] for x in parts) + content[-2:]

    return damage


def _swapped(rng: np.random.Generator, parts: list[Part]) -> list[Part]:
    a, b = (int(x) for x in rng.choice(len(parts), 2, replace=False))
    parts[a], parts[b] = parts[b], parts[a]
    return parts


def _lost(rng: np.random.Generator, parts: list[Part]) -> list[Part]:
    del parts[int(rng.integers(len(parts)))]
    return parts


def _doubled(rng: np.random.Generator, parts: list[Part]) -> list[Part]:
    at = int(rng.integers(len(parts)))
    return [*parts[:at], parts[at], *parts[at:]]


def _restarts(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Removes or renumbers one restart marker, or all; a file without any gets one."""
    places = [x.start() for x in RESTART.finditer(content, parts_of(content)[-1].start)]
    if not places:
        at, _ = _place(rng, content)
        return content[:at] + bytes([0xFF, 0xD0 + int(rng.integers(8))]) + content[at:]
    if rng.integers(3) == 0:
        return content[: places[0]] + RESTART.sub(b"", content[places[0] :])
    at = places[int(rng.integers(len(places)))]
    number = bytes([0xD0 + (content[at + 1] - 0xD0 + int(rng.integers(1, 8))) % 8])
    return content[:at] + (b"\xff" + number if rng.integers(2) else b"") + content[at + 2 :]


def _between(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Inserts bytes behind a segment other than those of applications."""
    ends = [x.end for x in parts_of(content) if x.marker not in (0, SOS, *APPLICATIONS)]
    at = int(rng.choice(ends))
    return content[:at] + _noise(rng, int(rng.integers(1, MAX_BYTES + 1))) + content[at:]


DAMAGES: dict[str, Callable[[np.random.Generator, bytes, bytes], bytes]] = {
    "cut off": _cut,
    "ended early by a marker": _ended,
    "end marker missing": lambda rng, content, other: content[:-2],
    "bytes after the end": lambda rng, content, other: content + _noise(rng, 1 + len(other) // 9),
    "1 to 200 bytes inserted": _inserted,
    "1 to 200 bytes missing": _missing,
    "1 to 200 bytes overwritten": _overwritten,
    "1 to 200 bytes zeroed": _zeroed,
    "a sector of zeros or of another file": _sector,
    "second half of another photograph": _joined,
    "one bit flipped": _flipped,
    "restart marker removed or renumbered": _restarts,
    "Huffman table changed": _codes,
    "quantization table changed": _quantization,
    "header of frame or scan changed": _header,
    "segments swapped": _rearranged(_swapped),
    "segment missing": _rearranged(_lost),
    "segment twice": _rearranged(_doubled),
    "bytes between segments": _between,
}
