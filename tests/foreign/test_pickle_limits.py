"""Pickles of few bytes take little memory and time, whatever they claim."""

import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from pgtf.foreign.pickles import StoredNetwork, machine, parse_pickle, stack
from tests.foreign.test_pickles import ARRAY, F4

NETWORK = b"ctfutil\nNetwork\n)\x81"
DTYPE_F4 = F4.encode("latin1")


def peak_of(data):
    """Bytes that reading a pickle took at most, and its error, which must come within seconds."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ValueError, match=r"^x\.pkl: ") as caught:
            parse_pickle(data, "x.pkl")
        assert time.process_time() - start < 10  # Some of these took minutes, or for ever.
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


def text(content):
    return b"X" + struct.pack("<I", len(content)) + content


def test_one_text_encoded_a_thousand_times_takes_a_bounded_multiple_of_the_file():
    encode = b"c_codecs\nencode\n(h\x00Vlatin1\ntR"
    data = b"\x80\x02" + text(b"a" * 2_000_000) + b"q\x00" + encode * 1000 + b"."
    peak, message = peak_of(data)
    assert "far more memory than the file" in message
    assert peak < stack.BYTES_FREE + stack.BYTES_PER_BYTE * len(data) + len(data)


def test_one_array_of_text_built_a_thousand_times_takes_a_bounded_multiple_of_the_file():
    build = ARRAY.encode() + b"(K\x01(J" + struct.pack("<i", 500_000) + b"th\x01\x89h\x00tb"
    data = (
        b"\x80\x02" + text(b"a" * 2_000_000) + b"q\x00" + DTYPE_F4 + b"q\x01" + build * 1000 + b"."
    )
    peak, message = peak_of(data)
    assert "far more memory than the file" in message
    assert peak < stack.BYTES_FREE + stack.BYTES_PER_BYTE * len(data) + len(data)


@pytest.mark.parametrize(
    "instruction",
    {
        "lists": b"]",
        "dicts": b"}",
        "tuples": b")\x85",
        "memo entries": b"N\x94",
        "networks": b"h\x00)\x81",
        "arrays": b"h\x01h\x02R",
        "numbers": b"h\x03h\x04R",
        "marks": b"(",
        "short text": b"U\x02xy",
        "entries of a dict": b"U\x04%04dNs",
    }.values(),
    ids=repr,
)
def test_many_small_values_take_little_more_than_the_limit(instruction, monkeypatch):
    monkeypatch.setattr(stack, "BYTES_FREE", 1 << 18)
    before = b"\x80\x04ctfutil\nNetwork\n\x94"
    before += b"cnumpy.core.multiarray\n_reconstruct\n\x94(cnumpy\nndarray\n(K\x00tVb\nt\x94"
    before += b"cnumpy.core.multiarray\nscalar\n\x94(" + DTYPE_F4 + b"C\x04abcdt\x94}"
    values = [instruction % i if b"%" in instruction else instruction for i in range(30_000)]
    data = before + b"".join(values)
    peak, message = peak_of(data + b".")
    limit = stack.BYTES_FREE + stack.BYTES_PER_BYTE * len(data)
    assert peak < 2 * limit
    assert "far more memory than the file" in message or instruction in (b"(", b"U\x04%04dNs")


def test_more_instructions_than_any_dataset_needs_are_refused(monkeypatch):
    monkeypatch.setattr(machine, "MAX_INSTRUCTIONS", 1000)
    assert parse_pickle(b"N" * 999 + b".", "x.pkl") is None
    with pytest.raises(ValueError, match="more than 1000 instructions"):
        parse_pickle(b"N" * 1000 + b".", "x.pkl")


# Ways to nest values; in the last three the outer one is filled before the inner one.
NESTED = {
    "tuples": lambda n: b")" + b"\x85" * (n - 1),
    "lists": lambda n: b"]" * n + b"a" * (n - 1),
    "lists by LIST": lambda n: b"(" * n + b"l" * n,
    "dicts": lambda n: b"}Vx\n" * n + b"N" + b"s" * n,
    "networks": lambda n: (NETWORK + b"}Vx\n") * (n // 2) + b"N" + b"sb" * (n // 2),
    "lists in the memo": lambda n: (
        b"".join(b"]r" + struct.pack("<I", i) for i in range(n))
        + b"".join(b"j" + struct.pack("<I", i) + b"j" + struct.pack("<I", i + 1) + b"a"
                   for i in range(n - 1))
        + b"j\0\0\0\0"
    ),
    "dicts in the memo": lambda n: (
        b"".join(b"}r" + struct.pack("<I", i) for i in range(n))
        + b"".join(b"j" + struct.pack("<I", i) + b"Vx\nj" + struct.pack("<I", i + 1) + b"s"
                   for i in range(n - 1))
        + b"j\0\0\0\0"
    ),
    "networks in the memo": lambda n: (
        b"".join(NETWORK + b"r" + struct.pack("<I", i) for i in range(n // 2))
        + b"".join(b"j" + struct.pack("<I", i) + b"}Vx\nj" + struct.pack("<I", i + 1) + b"sb"
                   for i in range(n // 2 - 1))
        + b"j\0\0\0\0"
    ),
}  # fmt: skip


def depth_of(value):
    depth = 0
    while isinstance(value, tuple | list | dict | StoredNetwork):
        depth += 1
        parts = value.values() if isinstance(value, dict) else value
        parts = [value.state] if isinstance(value, StoredNetwork) else parts
        value = next(iter(parts), None)
    return depth


@pytest.mark.parametrize("kind", [kind for kind in NESTED if "memo" not in kind])
def test_values_may_be_nested_32_deep(kind):
    assert depth_of(parse_pickle(b"\x80\x02" + NESTED[kind](32) + b".", "x.pkl")) == 32


@pytest.mark.parametrize("depth", [34, 10_000])
@pytest.mark.parametrize("kind", NESTED)
def test_values_nested_deeper_are_refused(kind, depth):
    with pytest.raises(ValueError, match="x.pkl: refused: (more than 32 values|it changes a list)"):
        parse_pickle(b"\x80\x02" + NESTED[kind](depth) + b".", "x.pkl")


@pytest.mark.parametrize(
    "data", [b"]q\0h\0a.", b"]q\0(h\0ta.", b"}q\0Vx\nh\0s.", NETWORK + b"q\0}Vx\nh\0sb."]
)
def test_values_that_contain_themselves_are_refused(data):
    with pytest.raises(ValueError, match="x.pkl: refused: it changes a list or dict that is part"):
        parse_pickle(b"\x80\x02" + data, "x.pkl")


def test_a_memory_cell_used_again_has_no_depth():
    """Ids of values that have gone are given to new ones, here tuples of the same size."""
    before = (
        b"\x80\x02" + DTYPE_F4 + b"q\0cnumpy.core.multiarray\n_reconstruct\nq\1cnumpy\nndarray\nq\2"
    )
    array = b"h\1(h\2(NNNtNtR(K\1(K\1th\0\x89C\4\0\0\x80\x3ftb"
    assert parse_pickle(before + b"](" + (array + b"\x85") * 2000 + b"e.", "x.pkl") == [(1,)] * 2000


@pytest.mark.parametrize(
    "shape",
    [
        b"(" + b"K\x01" * 33 + b"t",  # rank
        b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\x00t",  # overflows without the 0
        b"(K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft",
        b"(\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x00t",
        b"(J\xff\xff\xff\xfft",
        b"(G?\xf0\0\0\0\0\0\0t",  # 1.0
        b"(\x88t",
        b"((K\x01tt",
        b"]K\x01a",
    ],
)
def test_shapes_that_no_array_has_are_refused(shape):
    data = ARRAY.encode() + b"(K\x01" + shape + DTYPE_F4 + b"\x89C\x00tb."
    with pytest.raises(ValueError, match="not a pickle, or a damaged one"):
        parse_pickle(data, "x.pkl")
    data = data.replace(b"C\x00", b"C\x04\0\0\x80\x3f")
    with pytest.raises(ValueError, match="not a pickle, or a damaged one"):
        parse_pickle(data, "x.pkl")


def test_a_shape_of_twenty_thousand_huge_numbers_is_refused_at_once():
    huge = b"\x8a\x08" + b"\x7f" * 8 + b"q\x05"
    data = (
        ARRAY.encode() + b"(K\x01(" + huge + b"h\x05" * 20_000 + b"t" + DTYPE_F4 + b"\x89C\x00tb."
    )
    peak, message = peak_of(data)
    assert "an array of 20001 dimensions" in message
    assert peak < 5e6


@pytest.mark.parametrize(
    "number",
    [
        b"\x8b\x00\x00\x10\x00" + b"\x7f" * (1 << 20),
        b"\x8a\x0a" + b"\x7f" * 10,
        b"I" + b"9" * 1_000_000 + b"\n",
        b"L" + b"9" * 1_000_000 + b"L\n",
        b"I1_000\n",
        b"\x8b\xff\xff\xff\xff",
    ],
)
def test_numbers_of_more_than_64_bits_are_refused(number):
    with pytest.raises(ValueError, match="x.pkl: not a pickle, or a damaged one"):
        parse_pickle(number + b".", "x.pkl")


@pytest.mark.parametrize("number", [0, 1, -1, 2**31, -(2**63), 2**64 - 1, True])
@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_64_bits_are_read(number, protocol):
    found = parse_pickle(pickle.dumps(number, protocol), "x.pkl")
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("kind", ["text", "bytes", "array"])
@pytest.mark.parametrize("protocol", range(6))
def test_text_bytes_and_arrays_of_every_byte_are_read(kind, protocol):
    every = bytes(range(256)) + b"\\x5c\\'\"\n\\u0041" * 3
    value = {"text": every.decode("latin1") + "ä中😀", "bytes": every}.get(kind)
    value = np.frombuffer(every, np.uint8) if value is None else value
    found = parse_pickle(pickle.dumps([value, value], protocol), "x.pkl")
    assert len(found) == 2
    assert all(type(part) is type(value) and np.array_equal(part, value) for part in found)


LAUGHS = b"]q\0" + b"".join(
    b"]q%c(" % i + b"h%c" % (i - 1) * 10 + b"e" for i in range(1, 26)
)  # 10**25 lists for whoever walks through them


@pytest.mark.parametrize(
    "data",
    [
        LAUGHS + b"h\x19R.",
        LAUGHS + b"h\x19b.",
        LAUGHS + b"h\x19h\x19\x93.",
        LAUGHS + b"}h\x19Ns.",
        LAUGHS + NETWORK + b"h\x19b.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + LAUGHS + b"NtR(K\1NNNNtb.",
        b"cnumpy\ndtype\n(" + LAUGHS + b"NNtR.",
        b"c" + b"x" * 1_000_000 + b"\ny\n.",
        b"\x80\x04" + text(b"\x1b" * 1_000_000) + text(b"\n") + b"\x93.",
    ],
)
def test_messages_are_short_and_show_no_values(data):
    peak, message = peak_of(data)
    assert len(message) < 500
    assert message.isprintable()
    assert peak < 20e6
