"""Hostile and damaged pickles are refused without running anything; honest ones are read."""

import builtins
import copyreg
import pickle
import pickletools
import re
import sys

import numpy as np
import pytest

from pgtf.foreign.pickles import StoredNetwork, machine, read_pickle
from tests.foreign.hostile import CALLS, HARMLESS_WHEN_LOADED
from tests.interop.pickles import pickled


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it-ran"


@pytest.fixture
def read(tmp_path, marker):
    """Reads bytes as a pickle file; fails if that ran the payload."""

    def read_bytes(data):
        path = tmp_path / "network.pkl"
        path.write_bytes(data)
        try:
            return read_pickle(path)
        except ValueError as error:
            one_line = "\n" not in str(error) and str(error).startswith(f"{path}: ")
            raise error if one_line else AssertionError(str(error))  # noqa: B904
        finally:
            assert not marker.exists()

    return read_bytes


def dumps(value, protocol):
    try:
        return pickle.dumps(value, protocol)
    except (pickle.PicklingError, TypeError) as error:
        pytest.skip(f"protocol {protocol} cannot say this: {error}")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", CALLS)
def test_a_payload_is_refused_by_name_and_does_not_run(kind, protocol, marker, read):
    data = dumps(CALLS[kind](str(marker)), protocol)
    with pytest.raises(ValueError, match="refused class '"):
        read(data)
    if kind not in HARMLESS_WHEN_LOADED and protocol == 4:
        try:
            pickle.loads(data)
        except (TypeError, AttributeError):
            pass  # some fail after having run
        assert marker.exists()  # the payload was a live one


# The same by hand, with instructions that pickle.dumps never writes; MARKER is the file.
CALL = "(Vtouch MARKER\ntR."
LIVE_INSTRUCTIONS = {
    "GLOBAL": "cos\nsystem\n" + CALL,
    "INST": "(S'touch MARKER'\nios\nsystem\n.",
    "OBJ": "(cos\nsystem\nS'touch MARKER'\no.",
    "Python 2 builtins": "c__builtin__\neval\n(V__import__('os').system('touch MARKER')\ntR.",
    "dotted name": "\x80\x04Vshutil\nVos.system\n\x93" + CALL,
    "memo trick": "\x80\x04Vos\nq\x00Vsystem\nq\x01h\x00h\x01\x93" + CALL,
    "memo overwritten": "\x80\x04Vnumpy\nq\x00Vos\nq\x00h\x00Vsystem\n\x93" + CALL,
    "memoized function": "\x80\x04cos\nsystem\n\x94cnumpy\nndarray\nh\x00" + CALL,
}
OTHER_INSTRUCTIONS = {
    "dotted name of an allowed module": "\x80\x04Vnumpy\nVcore.multiarray.scalar\n\x93" + CALL,
    "after an honest network": "ctfutil\nNetwork\n)\x81}bcos\nsystem\n" + CALL,
    "in the state of a network": "ctfutil\nNetwork\n)\x81}Vx\ncos\nsystem\n" + CALL,
    "EXT1": "\x82\x01" + CALL,
    "EXT2": "\x83\x01\x00" + CALL,
    "EXT4": "\x84\x01\x00\x00\x00" + CALL,
    "PERSID": "Ptouch MARKER\n.",
    "BINPERSID": "Vtouch MARKER\nQ.",
    "NEWOBJ_EX": "ctfutil\nNetwork\n(Vtouch MARKER\nt}\x92.",
}


@pytest.mark.parametrize("kind", LIVE_INSTRUCTIONS | OTHER_INSTRUCTIONS)
def test_a_hand_made_payload_is_refused(kind, marker, read):
    program = (LIVE_INSTRUCTIONS | OTHER_INSTRUCTIONS)[kind].replace("MARKER", str(marker))
    with pytest.raises(ValueError, match="refused (class|instruction)"):
        read(program.encode("latin1"))
    if kind in LIVE_INSTRUCTIONS:
        pickle.loads(program.encode("latin1"))
        assert marker.exists()  # the payload was a live one


# All that a pickle may name. Another entry has to be thought about twice: here and there.
ALLOWED = {
    "_codecs.encode": "encode",
    "network.Network": "network",
    "numpy._core.multiarray._reconstruct": "array",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "numpy.core.multiarray._reconstruct": "array",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy.dtype": "dtype",
    "numpy.ndarray": "ndarray",
    "tfutil.Network": "network",
}
NEIGHBOURS = (
    ["_codecs.decode", "codecs.encode", "network.Networks", "tfutil.run", "tfutil.network"]
    + ["numpy.load", "numpy.memmap", "numpy.core.records.fromfile", "numpy.core.multiarray.array"]
    + ["numpy.core.numeric.fromfunction", "numpy.ndarray.tofile", "builtins.bytearray"]
    + ["numpy._core.multiarray.frombuffer", "numpy.matrix", "numpy.ma.core._mareconstruct"]
)


def test_a_pickle_may_name_exactly_eleven_things():
    assert machine.ALLOWED == ALLOWED


@pytest.mark.parametrize("order", ["", "<", ">", "=", "|"])
def test_dtypes_are_the_twelve_of_numbers(order, read):
    numbers = set("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split())
    for kind in "?bBcfgilmOpqSuUVM":
        for size in ["", *"01234567890", "16", "32"]:
            name = f"{kind}{size}"
            data = f"cnumpy\ndtype\n(V{order}{name}\nK\x00K\x01tR".encode() + DTYPE_STATE
            if name in numbers:
                assert read(data) == np.dtype(name)
            else:
                with pytest.raises(ValueError, match=f"refused dtype '{re.escape(order + name)}'"):
                    read(data)


@pytest.mark.parametrize("instruction", ["c{}\n{}\n.", "\x80\x04V{}\nV{}\n\x93."])
@pytest.mark.parametrize("name", [*ALLOWED, *NEIGHBOURS])
def test_a_name_is_refused_unless_it_is_one_of_them(name, instruction, read):
    data = instruction.format(*name.rsplit(".", 1)).encode("latin1")
    if name in ALLOWED:
        assert read(data) == machine.Global(name, ALLOWED[name])
    else:
        with pytest.raises(ValueError, match=f"refused class '{name}'"):
            read(data)


def test_an_extension_code_registered_by_someone_else_is_refused(marker, read, monkeypatch):
    monkeypatch.setitem(copyreg._inverted_registry, 1, ("os", "system"))
    data = f"\x80\x02\x82\x01(Vtouch {marker}\ntR.".encode("latin1")
    with pytest.raises(ValueError, match="refused instruction EXT1"):
        read(data)


DTYPE_STATE = b"(K\x03V<\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."

# Allowed names with arguments or states that an honest pickle never has.
RECONSTRUCT = "cnumpy.core.multiarray\n_reconstruct\n"
SCALAR = "cnumpy.core.multiarray\nscalar\n"
F4 = "cnumpy\ndtype\n(Vf4\nK\x00K\x01tR(K\x03V<\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
ARRAY = RECONSTRUCT + "(cnumpy\nndarray\n(K\x00tVb\ntR"
FROMBUFFER = "cnumpy.core.numeric\n_frombuffer\n"
TWO = ARRAY + "(K\x01(K\x02t" + F4 + "\x89C\x08" + "\0" * 8 + "tb"  # an array that is no bool
MISUSES = {
    "state on a class": "ctfutil\nNetwork\n}b.",
    "attributes on a function": SCALAR + "}V__code__\nNsb.",
    "slots on a class": "ctfutil\nNetwork\n(N}Vstate\nNstb.",
    "network called": "ctfutil\nNetwork\n(tR.",
    "network with arguments": "ctfutil\nNetwork\n(K\x01t\x81.",
    "network whose state is no dict": "ctfutil\nNetwork\n)\x81(K\x01tb.",
    "second state in a tuple": "ctfutil\nNetwork\n)\x81(}}tb.",
    "ndarray called": "cnumpy\nndarray\n((K\x03ttR.",
    "ndarray by NEWOBJ": "cnumpy\nndarray\n((K\x03tt\x81.",
    "reconstruct of another class": RECONSTRUCT + "(ctfutil\nNetwork\n(K\x00tVb\ntR.",
    "scalar without a dtype": SCALAR + "(Vf4\nC\x04\0\0\0\0tR.",
    "object dtype": "cnumpy\ndtype\n(VO8\nK\x00K\x01tR.",
    "structured dtype": "cnumpy\ndtype\n(Vf4,O\nK\x00K\x01tR.",
    "dtype of a network": "cnumpy\ndtype\n(ctfutil\nNetwork\n)\x81tR.",
    "dtype with fields": "cnumpy\ndtype\n(Vf4\nK\x00K\x01tR(K\x03V<\nNVx\n}K\x01K\x01K\x00tb.",
    "array whose order is an array": ARRAY + "(K\x01)" + F4 + TWO + "C\x00tb.",
    "array whose version is an array": ARRAY + "(" + TWO + ")" + F4 + "\x89C\x00tb.",
    "array with an order that is an array": FROMBUFFER + "(C\x00" + F4 + "(K\x00t" + TWO + "tR.",
    "decoder that is an array": "c_codecs\nencode\n(Vx\n" + TWO + "tR.",
    "dtype whose name is an array": "cnumpy\ndtype\n(" + TWO + "K\x00K\x01tR.",
    "dtype whose order is an array": F4[: F4.index("V<")] + TWO + "NNNK\x01K\x01K\x01tb.",
    "array of another size": ARRAY + "(K\x01(K\x03t" + F4 + "\x89C\x04\0\0\0\0tb.",
    "array of 40 TB": ARRAY + "(K\x01(L10000000000000L\nt" + F4 + "\x89C\x04\0\0\0\0tb.",
    "array of negative size": ARRAY + "(K\x01(I-1\nt" + F4 + "\x89C\x00tb.",
    "array from a list": ARRAY + "(K\x01(K\x01t" + F4 + "\x89]tb.",
    "array state of an array": ARRAY + "}b.",
    "decoder other than Latin-1": "c_codecs\nencode\n(Vx\nVrot13\ntR.",
    "text called": "Vos\n(tR.",
    "number as a class name": "\x80\x04K\x01K\x02\x93.",
    "state of a number": "K\x01}b.",
    "append to a network": "ctfutil\nNetwork\n)\x81K\x01a.",
    "items of a list": "]K\x01K\x02s.",
    "dict key that is a list": "}]K\x01s.",
    "odd number of items": "}(Va\nu.",
    "memo entry that is not there": "h\x07.",
    "pop of an empty stack": "0.",
    "tuple without a mark": "K\x01t.",
    "mark as a value": "(\x85.",
    "nothing on the stack": ".",
}  # fmt: skip


@pytest.mark.parametrize("kind", MISUSES)
def test_an_allowed_name_with_hostile_arguments_is_refused(kind, read):
    attributes = {name: dir(value) for name, value in vars(builtins).items()}
    with pytest.raises(ValueError, match="refused|damaged"):
        read(MISUSES[kind].encode("latin1"))
    assert attributes == {name: dir(value) for name, value in vars(builtins).items()}


def test_a_huge_memo_index_costs_no_memory(read):
    assert read(b"\x80\x04K\x05r\xff\xff\xff\xffj\xff\xff\xff\xff.") == 5


@pytest.mark.parametrize("opcode", [b"B", b"X", b"\x8d", b"\x8e", b"\x96", b"\x8b"])
def test_a_length_beyond_the_end_of_the_file_is_an_error(opcode, read):
    with pytest.raises(ValueError, match="damaged one .* goes beyond the end of the file"):
        read(b"\x80\x05" + opcode + b"\xff\xff\xff\x7f\x00\x00\x00\x00" + b"abc.")


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x04", b"K", b"<html>quota</html>", b"\x80\x04]"]
)
def test_empty_short_and_foreign_files_are_named(data, read):
    with pytest.raises(ValueError, match=r"network\.pkl: not a pickle, or a"):
        read(data)


def test_every_truncation_of_a_network_is_an_error(read):
    data = network_pickle(4)
    for size in range(len(data)):
        with pytest.raises(ValueError, match="not a pickle|damaged"):
            read(data[:size])


def test_random_damage_never_ends_in_another_exception(read):
    data, rng = network_pickle(2), np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(data)
        for position in rng.integers(len(data), size=3):
            damaged[position] = rng.integers(256)
        try:
            read(bytes(damaged))
        except ValueError:
            continue


STATE = {
    "version": 2,
    "build_module_src": "import os\nos.system('false')\n",
    "static_kwargs": {"fmap_base": 128, "fmap_decay": 0.5, "use_wscale": False, "x": None},
    "variables": [
        ("lod", np.float32(0.5)),
        ("kernel", np.arange(24, dtype="float32").reshape(2, 3, 4)),
        ("fortran", np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        ("big-endian", np.arange(3, dtype=">f4")),
        ("count", np.array(7, dtype="int64")),
    ],
}


def network_pickle(protocol):
    """(network, network) as the original wrote it."""
    return pickled("tfutil", STATE, protocol=protocol, times=2)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old_numpy", [False, True])
def test_honest_networks_of_every_protocol_are_read(protocol, old_numpy, read):
    data = network_pickle(protocol)
    if old_numpy:  # names before NumPy 2; shorter, so protocol 4's frames and lengths are redone
        data = pickletools.optimize(renamed(data))
    first, second = read(data)
    assert first is second  # through the memo
    assert isinstance(first, StoredNetwork)
    assert first.class_name == "tfutil.Network"
    assert "tfutil" not in sys.modules
    for key in ("version", "build_module_src", "static_kwargs"):
        assert first.state[key] == STATE[key]
    for (name, value), (expected_name, expected) in zip(
        first.state["variables"], STATE["variables"], strict=True
    ):
        assert name == expected_name
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape
        assert np.array_equal(value, expected)


def renamed(data):
    """The pickle with NumPy 1's module names."""
    for module in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + module, b"numpy.core." + module
        data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
        data = data.replace(b"c" + new, b"c" + old)
    return unframed(data)


def unframed(data):
    """The pickle without frames, whose lengths no longer hold."""
    pieces, last = [], 0
    while (start := data.find(b"\x95", last)) >= 0 and data[1] >= 4:
        pieces.append(data[last:start])
        last = start + 9
    return b"".join(pieces) + data[last:]


def test_python_2_strings_hold_array_bytes(read):
    body = ARRAY + "(K\x01(K\x02t" + F4 + "\x89U\x08\x00\x00\x80\x3f\x00\x00\x00\xc0tb."
    assert np.array_equal(read(body.encode("latin1")), np.float32([1, -2]))
