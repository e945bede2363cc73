"""Strategies of hypothesis that damage files: bytes, values of JSON, instructions of pickles."""

from __future__ import annotations

import json
import pickletools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.cases import ODD, Case

Mutate = Callable[[bytes], st.SearchStrategy[bytes]]

MAX_BYTES = 1 << 20  # of a mutated file, unless it had more before
BOUNDARIES = sorted(
    {sign * (1 << n) + d for n in range(65) for d in (-1, 0, 1) for sign in (1, -1)}
)
DEPTHS = (100, 3000, 100_000)  # of lists in each other
NUMBERS = st.sampled_from(BOUNDARIES)
PLACES = st.integers(0, (1 << 32) - 1)
HUGE_DIGITS = "9" * 400
NESTED, _NESTED = "nested {} times", re.compile(r'"nested (\d+) times"')
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "nan", "inf", "-0", "1e999", HUGE_DIGITS, "../x", "\0", "\x1b[31m", "\ud800"]
    ),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.floats(),
    st.sampled_from([10**400, 1e308, -0.0]),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(TEXTS, x, max_size=3)),
    max_leaves=6,
)


def damaged(
    seeds: Sequence[Case], mutate: Sequence[Mutate], names: Callable[[str], bool] = lambda _: True
) -> st.SearchStrategy[Case]:
    """Cases with one file damaged.

    Args:
        seeds: cases that are read without an error, or were not.
        mutate: ways to damage a file; see `bytes_edited` and others here.
        names: true for the names of files that may be damaged.
    """

    @st.composite
    def case(draw: st.DrawFn) -> Case:
        found = dict(draw(st.sampled_from(seeds)))
        name = draw(st.sampled_from(sorted(filter(names, found))))
        content = found[name]
        if isinstance(content, str) or draw(st.integers(0, 39)) == 39:
            found[name] = draw(st.sampled_from(ODD))
            return found
        edited = draw(draw(st.sampled_from(mutate))(content))
        found[name] = edited[: max(MAX_BYTES, len(content))]
        return found

    return case()


def odd(case: Case, names: Callable[[str], bool] = lambda _: True) -> Iterator[Case]:
    """Yields a case with each of its files replaced by ODD ones, deep JSON, or many digits."""
    for name in filter(names, case):
        for content in (*ODD, *(depth * b"[" + depth * b"]" for depth in DEPTHS), 10_000 * b"9"):
            yield case | {name: content}


# Bytes.


def bytes_edited(others: Sequence[bytes] = (), words: Sequence[bytes] = ()) -> Mutate:
    """Damages one to four places of a file.

    Args:
        others: files of the same kind, of which parts are copied.
        words: parts that mean something in such a file, which are inserted and written over others.
    """
    tools = (_flip, _number, _delete, _repeat, _insert, _move, _cut, _digits)
    edits = st.tuples(st.sampled_from(tools), PLACES, NUMBERS, st.integers(0, 255))
    pieces = [*words, *(part for other in others for part in _parts(other))] or [
        b"\xff\xff\xff\xff"
    ]
    copies = st.tuples(st.just(_overwrite), PLACES, st.sampled_from(pieces), st.integers(0, 255))
    edit = st.one_of(edits, edits, copies)
    plans = st.one_of(edit.map(lambda x: [x]), st.lists(edit, min_size=1, max_size=4))

    def apply(content: bytes, plan: Sequence[tuple[Any, int, Any, int]]) -> bytes:
        data = bytearray(content)
        for tool, place, value, byte in plan:
            tool(data, place % (len(data) + 1), value, byte)
        return bytes(data)

    return lambda content: plans.map(lambda plan: apply(content, plan))


def _parts(content: bytes) -> list[bytes]:
    step = max(len(content) // 8, 1)
    return [content[at : at + step][:4096] for at in range(0, len(content), step)][:8]


def _flip(data: bytearray, at: int, value: int, byte: int) -> None:
    if at < len(data):
        data[at] ^= (1 << (byte & 7)) if byte < 128 else byte


def _number(data: bytearray, at: int, value: int, byte: int) -> None:
    """Writes a number over others, of 1 to 8 bytes in either order."""
    size = 1 << (byte & 3)
    packed = (value % (1 << 8 * size)).to_bytes(size, "big" if byte & 4 else "little")
    data[at : at + size] = packed[: max(len(data) - at, 0)]


def _delete(data: bytearray, at: int, value: int, byte: int) -> None:
    del data[at : at + 1 + byte]


def _repeat(data: bytearray, at: int, value: int, byte: int) -> None:
    """Repeats a part, a few times or thousands of times."""
    part = data[at : at + 1 + (byte & 63)]
    data[at:at] = part * (1 if byte < 192 else min(20_000, MAX_BYTES // max(len(part), 1)))


def _insert(data: bytearray, at: int, value: int, byte: int) -> None:
    data[at:at] = bytes([byte]) * (1 + abs(value) % 70)


def _move(data: bytearray, at: int, value: int, byte: int) -> None:
    """Copies a part to another place."""
    to = abs(value) % (len(data) + 1)
    data[to : to + byte] = data[at : at + byte]


def _cut(data: bytearray, at: int, value: int, byte: int) -> None:
    del data[at:]


def _digits(data: bytearray, at: int, value: int, byte: int) -> None:
    """Writes a decimal number over the next one, if there is one."""
    while at < len(data) and not chr(data[at]).isdigit():
        at += 1
    end = at
    while end < len(data) and chr(data[end]).isdigit():
        end += 1
    if at < end:
        data[at:end] = HUGE_DIGITS.encode() if byte > 240 else str(value).encode()


def _overwrite(data: bytearray, at: int, part: bytes, byte: int) -> None:
    data[at : at if byte & 1 else at + len(part)] = part


def repaired(mutate: Mutate, repair: Callable[[bytes], bytes]) -> Mutate:
    """Damages a file and makes its checksums right again, so that more than those are reached."""
    return lambda content: mutate(content).map(repair)


def unpacked(
    mutate: Mutate, unpack: Callable[[bytes], Any], pack: Callable[[Any], bytes]
) -> Mutate:
    """Damages the content of a compressed file."""
    return lambda content: mutate(unpack(content)).map(pack)


# JSON.


@st.composite
def json_edited(draw: st.DrawFn, value: Any) -> Any:
    """A value of JSON with one to three parts replaced, removed, added or nested."""
    for _ in range(draw(st.integers(1, 3))):
        value = _edit(draw, value)
    return value


def _edit(draw: st.DrawFn, value: Any) -> Any:
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        members = list(value.items() if isinstance(value, dict) else enumerate(value))
    if members and draw(st.integers(0, 7)):
        key, child = draw(st.sampled_from(members))
        copied = value.copy()
        if draw(st.integers(0, 5)) == 5:
            del copied[key]
        else:
            copied[key] = _edit(draw, child)
        return copied
    how = draw(st.integers(0, 9))
    if how == 9:
        return NESTED.format(draw(st.sampled_from([1, 30, 70, *DEPTHS])))
    if how == 8 and isinstance(value, dict):
        return value | {draw(TEXTS): draw(VALUES)}
    if how == 7 and isinstance(value, list):
        return [*value, draw(VALUES)]
    return draw(VALUES)


def json_file(content: bytes) -> st.SearchStrategy[bytes]:
    """Damages values of a JSON file; see `json_edited`."""
    return json_edited(json.loads(content)).map(json_of)


def json_lines(content: bytes) -> st.SearchStrategy[bytes]:
    """Damages values of one line of a file with a value per line."""
    lines = content.splitlines()

    def edit(number: int) -> st.SearchStrategy[bytes]:
        edited = json_edited(json.loads(lines[number])).map(json_of)
        return edited.map(
            lambda x: b"".join(y + b"\n" for y in [*lines[:number], x, *lines[number + 1 :]])
        )

    return st.integers(0, len(lines) - 1).flatmap(edit)


def json_of(value: Any) -> bytes:
    """JSON of a value; of texts like NESTED it has so many lists in each other."""
    return _NESTED.sub(lambda x: "[" * int(x[1]) + "]" * int(x[1]), json.dumps(value)).encode()


# Pickles.


def pickle_edited(content: bytes) -> st.SearchStrategy[bytes]:
    """Damages a pickle by whole instructions: deletes, repeats, exchanges and inserts some."""
    places = [at for _, _, at in pickletools.genops(content)] + [len(content)]
    parts = [content[a:b] for a, b in zip(places, places[1:], strict=False)]
    short = [part for part in parts if len(part) < 4096]
    number = st.integers(0, len(parts) - 1)
    piece = st.one_of(st.sampled_from(short), st.sampled_from(PICKLED))
    edits = st.lists(st.tuples(number, st.integers(0, 4), piece, number), min_size=1, max_size=4)

    def apply(plan: Sequence[tuple[int, int, bytes, int]]) -> bytes:
        found = list(parts)
        for at, how, part, other in plan:
            if how == 0:
                found[at] = b""
            elif how == 1:
                found[at] = part
            elif how == 2:
                found[at : at + 1] = [found[at], part]
            elif how == 3:
                found[at], found[other] = found[other], found[at]
            else:
                found[at] = part * 3000 if len(part) < 16 else part
        return b"".join(found)

    return edits.map(apply)


# Instructions of every kind, some of them with arguments that no plain pickle has.
PICKLED = [
    *(
        bytes([code])
        for code in b"()NRbeioqstu]}ld0129.\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x97\x98a"
    ),
    b"I01\n",
    b"I-1\n",
    b"L99999999999999999999L\n",
    b"I" + HUGE_DIGITS.encode() + b"\n",
    b"F1e999\n",
    b"Fnan\n",
    b"S'text'\n",
    b"Vtext\n",
    b"G\x7f\xf0\0\0\0\0\0\0",
    b"J\xff\xff\xff\x7f",
    b"M\xff\xff",
    b"K\x00",
    b"\x8a\x09" + b"\xff" * 9,
    b"\x8b\xff\xff\xff\x7f",
    b"C\x04abcd",
    b"B\xff\xff\xff\x7f",
    b"X\x02\0\0\0ab",
    b"\x8c\x02ab",
    b"\x8d" + b"\xff" * 8,
    b"\x95" + b"\xff" * 8,
    b"\x96" + b"\xff" * 8,
    b"h\x00",
    b"q\x00",
    b"p0\n",
    b"g0\n",
    b"j\xff\xff\xff\xff",
    b"r\xff\xff\xff\xff",
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n",
    b"ctfutil\nNetwork\n",
    b"c_codecs\nencode\n",
    b"i" + b"os\nsystem\n",
    b"P1\n",
    b"\x82\x01",
    b"\x83\x01\0",
    b"\x80\x05",
    b"\x80\xff",
]
