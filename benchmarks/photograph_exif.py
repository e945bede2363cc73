"""EXIF data as cameras write them, ways to damage them, and a reader of the orientation in them.

The reader has nothing in common with that of the project, and takes all that can still be told.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Sequence

import numpy as np

ORIENTATION = 274
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}  # type -> bytes
SHORT, LONG, ASCII, RATIONAL, UNDEFINED = 3, 4, 2, 5, 7
MAKE, MODEL, SOFTWARE, DATE, EXIF_PLACE, GPS_PLACE = 0x10F, 0x110, 0x131, 0x132, 0x8769, 0x8825
THUMBNAIL_PLACE, THUMBNAIL_BYTES = 0x201, 0x202
RECORD = 12  # bytes
# Forms of one integer in a record, by type. Others say nothing about an orientation.
INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}

Entry = tuple[int, int, int, bytes]  # tag, type, count, value


@dataclasses.dataclass(frozen=True)
class Block:
    """EXIF data, and what is where in them."""

    order: str  # of bytes: < or >
    orientation: int
    content: bytes
    start: int  # of the first directory
    records: tuple[int, ...]  # places of its records
    links: tuple[int, ...]  # places of the offsets of directories

    @property
    def place(self) -> int:
        """Place of the record of the orientation."""
        tag = struct.pack(self.order + "H", ORIENTATION)
        return next(at for at in self.records if self.content[at : at + 2] == tag)


def orientation_of(content: bytes) -> int:
    """Finds the orientation in EXIF data, however damaged the rest is; 0 = it does not say."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None or len(content) < 8:
        return 0
    (at,) = struct.unpack_from(order + "I", content, 4)
    for number in range(int.from_bytes(content[at : at + 2], "little" if order == "<" else "big")):
        record = content[at + 2 + RECORD * number :][:RECORD]
        if len(record) < RECORD:
            break
        tag, kind, count = struct.unpack_from(order + "HHI", record)
        if tag == ORIENTATION and kind in INTEGERS and count == 1:
            (value,) = struct.unpack_from(order + INTEGERS[kind], record, 8)
            if 1 <= value <= 8:
                return int(value)
    return 0


def whole(rng: np.random.Generator, orientation: int, thumbnail: bytes = b"") -> Block:
    """EXIF data like those of a camera: four directories, and a thumbnail that lies otherwise."""
    order = "<>"[rng.integers(2)]
    short, long = order + "H", order + "I"
    rational = struct.pack(order + "II", int(rng.integers(1, 300)), int(rng.integers(0, 9)))
    main = [
        _text(MAKE, b"Maker of cameras"),
        _text(MODEL, rng.choice([b"X1", b"DMC-TZ1010"])),
        (ORIENTATION, SHORT, 1, struct.pack(short, orientation)),
        (0x11A, RATIONAL, 1, rational),
        (0x128, SHORT, 1, struct.pack(short, 2)),
        _text(SOFTWARE, b"1.0"),
        _text(DATE, b"2017:10:27 12:00:00"),
        (EXIF_PLACE, LONG, 1, bytes(4)),
        (GPS_PLACE, LONG, 1, bytes(4)),
    ]
    details = [(0x829A, RATIONAL, 1, rational), (0x9286, UNDEFINED, 12, b"ASCII\0\0\0good")]
    places = [(1, ASCII, 2, b"N\0"), (2, RATIONAL, 3, 3 * rational)]
    small = [
        (259, SHORT, 1, struct.pack(short, 6)),
        (ORIENTATION, SHORT, 1, struct.pack(short, orientation % 8 + 1)),
        (THUMBNAIL_PLACE, LONG, 1, bytes(4)),
        (THUMBNAIL_BYTES, LONG, 1, struct.pack(long, len(thumbnail))),
    ]
    return _laid_out(order, orientation, main, [details, places], small, thumbnail)


def _text(tag: int, value: bytes) -> Entry:
    return tag, ASCII, len(value) + 1, value + b"\0"


def _laid_out(
    order: str,
    orientation: int,
    main: Sequence[Entry],
    below: Sequence[Sequence[Entry]],
    small: Sequence[Entry],
    thumbnail: bytes,
) -> Block:
    """Puts directories one behind the other, each before its values."""
    start, at, starts, parts = 8, 8, [], []
    for entries in (main, *below, small):
        starts.append(at)
        parts.append(_directory(order, entries, at))
        at += len(parts[-1])
    content = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start))
    content += b"".join(parts) + thumbnail
    records = tuple(start + 2 + RECORD * i for i in range(len(main)))
    in_small = [starts[-1] + 2 + RECORD * i for i in range(len(small))]
    values = {records[-2]: starts[1], records[-1]: starts[2], in_small[2]: at}
    for place, value in values.items():
        struct.pack_into(order + "I", content, place + 8, value)
    following = start + 2 + RECORD * len(main)
    struct.pack_into(order + "I", content, following, starts[-1])
    links = 4, following, *(place + 8 for place in values)
    return Block(order, orientation, bytes(content), start, records, links)


def _directory(order: str, entries: Sequence[Entry], at: int) -> bytes:
    records, values = b"", b""
    place = at + 2 + RECORD * len(entries) + 4
    for tag, kind, count, value in entries:
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack(order + "I", place + len(values))
            values += value + bytes(len(value) % 2)
        records += struct.pack(order + "HHI", tag, kind, count) + field
    return struct.pack(order + "H", len(entries)) + records + bytes(4) + values


# Ways to damage the data: each takes a generator and whole data, and returns others.


def _patched(block: Block, at: int, form: str, *values: int) -> bytes:
    content = bytearray(block.content)
    struct.pack_into(block.order + form, content, at, *values)
    return bytes(content)


def _bytes_changed(rng: np.random.Generator, block: Block) -> bytes:
    content = bytearray(block.content)
    for _ in range(int(rng.integers(1, 9))):
        content[rng.integers(len(content))] = rng.integers(256)
    return bytes(content)


def _field_changed(at: int, form: str, choices: Sequence[int]) -> Callable[..., bytes]:
    """Changes a field at a place of one to three records, that of the orientation among them."""

    def change(rng: np.random.Generator, block: Block) -> bytes:
        for _ in range(int(rng.integers(1, 4))):
            value = int(rng.choice([*choices, int(rng.integers(1 << 8 * struct.calcsize(form)))]))
            place = int(rng.choice(block.records)) + at
            block = dataclasses.replace(block, content=_patched(block, place, form, value))
        return block.content

    return change


def _offset_changed(rng: np.random.Generator, block: Block) -> bytes:
    """Changes where values lie, those of other records than the orientation."""
    others = [at for at in block.records if at != block.place]
    value = int(
        rng.choice([0, 1, len(block.content), 1 << 31, (1 << 32) - 1, rng.integers(1 << 32)])
    )
    return _patched(block, int(rng.choice(others)) + 8, "I", value)


def _number_changed(rng: np.random.Generator, block: Block) -> bytes:
    """Changes the number of records of the first directory."""
    return _patched(block, block.start, "H", int(rng.choice([0, 1, 3, 5, 200, 4097, 65535])))


def _cut(rng: np.random.Generator, block: Block) -> bytes:
    return block.content[: int(rng.integers(len(block.content)))]


def _cyclic(rng: np.random.Generator, block: Block) -> bytes:
    """Lets directories lead to the first one, to themselves, or to each other."""
    places = block.links[1:]
    targets = [block.start, int(rng.choice(block.records)), len(block.content) - 4]
    return _patched(block, int(rng.choice(places)), "I", int(rng.choice(targets)))


def _order_changed(rng: np.random.Generator, block: Block) -> bytes:
    return (b"MM" if block.order == "<" else b"II") + block.content[2:]


def _head_changed(rng: np.random.Generator, block: Block) -> bytes:
    """Changes the mark 42, or the place of the first directory."""
    if rng.integers(2):
        return _patched(block, 2, "H", int(rng.choice([0, 43, 85, rng.integers(1 << 16)])))
    return _patched(block, 4, "I", int(rng.choice([0, 7, len(block.content), (1 << 32) - 1])))


def _shuffled(rng: np.random.Generator, block: Block) -> bytes:
    found = [block.content[at : at + RECORD] for at in block.records]
    body = b"".join(found[i] for i in rng.permutation(len(found)))
    end = block.records[0] + len(body)
    return block.content[: block.records[0]] + body + block.content[end:]


def _twice(rng: np.random.Generator, block: Block) -> bytes:
    """Writes a second orientation over another record."""
    at = int(rng.choice([at for at in block.records if at != block.place]))
    return _patched(block, at, "HHIHH", ORIENTATION, SHORT, 1, int(rng.integers(0, 12)), 0)


def _out_of_range(rng: np.random.Generator, block: Block) -> bytes:
    value = int(rng.choice([0, 9, 255, 256, 1 << 15, (1 << 16) - 1]))
    return _patched(block, block.place + 8, "H", value)


def _emptied(rng: np.random.Generator, block: Block) -> bytes:
    """Leaves nothing, zeros or noise."""
    size = len(block.content)
    noise = rng.integers(0, 256, size).astype(np.uint8).tobytes()
    return (b"", bytes(size), noise, noise + bytes(60_000))[rng.integers(4)]


def _odd_records(rng: np.random.Generator, block: Block) -> bytes:
    """Surrounds the orientation by records of any tag, type, number and value."""
    records = [odd_record(rng, block.order) for _ in range(int(rng.integers(0, 24)))]
    at = int(rng.integers(len(records) + 1))
    records.insert(at, block.content[block.place : block.place + RECORD])
    noise = rng.integers(0, 256, int(rng.integers(4, 99))).astype(np.uint8).tobytes()
    head = struct.pack(block.order + "H", len(records))
    return block.content[: block.start] + head + b"".join(records) + noise


def odd_record(rng: np.random.Generator, order: str, lowest: int = 0) -> bytes:
    """A record of any tag from `lowest` on, except the orientation, and of any type and value."""
    tag = int(rng.choice([MAKE, 0x11A, EXIF_PLACE, GPS_PLACE, 0x14A, rng.integers(1 << 16)]))
    tag = MAKE if tag == ORIENTATION or tag < lowest else tag
    kind = int(rng.choice([*range(14), rng.integers(1 << 16)]))
    count = int(rng.choice([0, 1, 2, 4, rng.integers(1 << 32)]))
    value = rng.integers(0, 256, 4).astype(np.uint8).tobytes()
    return struct.pack(order + "HHI", tag, kind, count) + value


MUTATIONS: dict[str, Callable[[np.random.Generator, Block], bytes]] = {
    "none": lambda rng, block: block.content,
    "bytes changed": _bytes_changed,
    "types changed": _field_changed(2, "H", [0, 1, 2, 3, 4, 5, 7, 12, 13, 16, 18]),
    "counts changed": _field_changed(4, "I", [0, 2, 4, 1 << 16, (1 << 32) - 1]),
    "tags changed": _field_changed(0, "H", [0, MAKE, 0x14A, 0x11A, EXIF_PLACE]),
    "offsets of values changed": _offset_changed,
    "number of records changed": _number_changed,
    "cut off": _cut,
    "cyclic": _cyclic,
    "byte order changed": _order_changed,
    "head changed": _head_changed,
    "records shuffled": _shuffled,
    "two orientations": _twice,
    "orientation out of range": _out_of_range,
    "empty, zeros or noise": _emptied,
    "records of any kind": _odd_records,
}
