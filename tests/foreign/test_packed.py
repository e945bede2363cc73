"""Compressed files: unpacked as Python does, in bounded memory and time, or one line."""

import bz2
import gzip
import io
import lzma
import random
import time
import tracemalloc

import pytest

from pgtf.foreign import packed

COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
CONTENT = random.Random(0).randbytes(70_000) + bytes(300_000)


def unpacked(content, num_bytes=-1):
    make = packed.FORMATS[content[:2]]
    return io.BufferedReader(packed.Unpacked(io.BytesIO(content), make)).read(num_bytes)


@pytest.mark.parametrize("kind", COMPRESS)
def test_parts_and_padding_are_unpacked_as_python_does(kind):
    part = COMPRESS[kind]
    content = part(CONTENT) + part(b"") + part(b"end") + bytes(100_000)
    assert unpacked(content) == CONTENT + b"end"
    assert unpacked(content, 71_000) == CONTENT[:71_000]


@pytest.mark.parametrize("kind", COMPRESS)
def test_damage_is_an_error_wherever_it_is(kind):
    content = COMPRESS[kind](CONTENT)
    for size in (2, 5, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(packed.Damaged, match="too early"):
            unpacked(content[:size])
    for place in (2, 3, 30, len(content) // 2, len(content) - 2):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        with pytest.raises(packed.Damaged):
            unpacked(bytes(changed))
    with pytest.raises(packed.Damaged):
        unpacked(content + b"more")


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"") * packed.MAX_PARTS + bytes(32 << 20),
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (32 << 20),
        gzip.compress(b"") + bytes(64 << 20) + b"x",
    ],
    ids=["empty parts", "a long name", "zeros"],
)
def test_no_header_or_padding_takes_long(content):
    before = time.process_time()
    found = b""
    try:
        found = unpacked(content)
    except packed.Damaged:
        pass
    assert found == b""
    assert time.process_time() - before < 2


def test_files_of_many_parts_are_refused():
    with pytest.raises(packed.Damaged, match="more than 10000 parts"):
        unpacked(gzip.compress(b"") * (packed.MAX_PARTS + 1))


def test_a_file_of_xz_gets_no_more_memory_than_there_is_for_it(monkeypatch):
    monkeypatch.setattr(packed, "MAX_XZ_BYTES", 8 << 20)  # The usual preset needs 9.
    with pytest.raises(packed.Damaged, match="[Mm]emory"):
        unpacked(lzma.compress(b"x"))


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_bomb_takes_no_more_memory_than_is_read(kind):
    content = COMPRESS[kind](bytes(32 << 20))
    tracemalloc.start()
    try:
        assert unpacked(content, 1000) == bytes(1000)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
