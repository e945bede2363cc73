"""Reads the network pickles of the original releases without executing them.

A pickle is a program for a small stack machine that may call whatever it names. This reader is
its own stack machine: it knows the few instructions that plain data, NumPy arrays and the class
`Network` need, and has no instruction that imports or calls anything. The names that a pickle
may mention are an allow-list; each stands for one fixed treatment of data below.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

# The meaning of each name that a pickle may contain. NumPy 2 renamed `core` to `_core`. Networks of
# the Theano release have the class network.Network, the TensorFlow release's tfutil.Network.
_ALLOWED = {
    "tfutil.Network": "network",
    "network.Network": "network",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "array",
    "numpy._core.multiarray._reconstruct": "array",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.core.numeric._frombuffer": "frombuffer",  # arrays in protocol 5
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",  # bytes that Python 3 wrote in protocol 2
}
_DTYPES = frozenset(f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)) - {"f1"} | {"b1"}

_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENTS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8".split()
)
_TUPLE_SIZES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclasses.dataclass(eq=False)
class StoredNetwork:
    """An instance of the original's class `Network`: nothing but its pickled state."""

    class_name: str
    state: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Global:
    name: str
    meaning: str


@dataclasses.dataclass(eq=False)
class _Unbuilt:
    """An array or dtype whose content will come with BUILD."""

    kind: str
    dtype_name: str = ""
    memo_keys: list[int] = dataclasses.field(default_factory=list)


class _Mark:
    pass


class PickleError(ValueError):
    """Raised if the data is no pickle of networks; the message says why."""


def read_pickle(path: str | os.PathLike[str]) -> Any:
    """Reads a pickle of plain data, NumPy arrays and networks. Returns the object.

    Instances of `Network` become StoredNetwork; Python 2 strings are decoded as Latin-1.

    Raises:
        ValueError: if the file is no pickle, is truncated, or names anything else; the message
            names the file and the class. Nothing has been imported or called then.
    """
    data = Path(path).read_bytes()
    try:
        return _Machine().run(data)
    except PickleError as error:
        raise ValueError(f"{path}: {error}") from None
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"{path}: not a pickle, or a damaged one ({reason}).") from None


class _Stack:
    """The values, marks and memo of one run."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}  # a dict, so that a huge index costs nothing

    def pop(self) -> Any:
        """Takes the top value, which must not be a mark."""
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise PickleError("damaged pickle: a mark where a value was expected.")
        return value

    def pop_to_mark(self) -> list[Any]:
        """Takes all values above the last mark, and the mark."""
        items = []
        while not isinstance(value := self.stack.pop(), _Mark):
            items.append(value)
        return items[::-1]

    def top(self, kind: type) -> Any:
        """Returns the top value, which must be of a kind, and leaves it there."""
        if not isinstance(self.stack[-1], kind):
            raise PickleError(f"damaged pickle: {kind.__name__} expected.")
        return self.stack[-1]

    def set_items(self, values: list[Any]) -> None:
        """Adds alternating keys and values to the dict on top."""
        if len(values) % 2 or not all(isinstance(key, str) for key in values[::2]):
            raise PickleError("damaged pickle: a dict's keys must be text.")
        self.top(dict).update(zip(values[::2], values[1::2], strict=True))

    def put(self, key: int) -> None:
        """Stores the top value in the memo."""
        value = self.stack[-1]
        if isinstance(value, _Unbuilt):
            value.memo_keys.append(key)
        self.memo[key] = value

    def replace(self, unbuilt: _Unbuilt, value: Any) -> None:
        """Pushes a built value and puts it in the memo in place of the unbuilt one."""
        for key in unbuilt.memo_keys:
            self.memo[key] = value
        self.stack.append(value)


class _Machine(_Stack):
    """Executes instructions; it has one method, op_<name>, for each that is allowed."""

    def run(self, data: bytes) -> Any:
        """Executes the instructions up to STOP. Returns the object on the stack."""
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in ("PROTO", "FRAME", "READONLY_BUFFER"):
                continue
            if name == "STOP":
                return self.pop()
            if name in _ARGUMENTS:
                self.stack.append(argument)
            elif name in _PLAIN:
                self.stack.append(_PLAIN[name])
            elif name in _TUPLE_SIZES:
                size = _TUPLE_SIZES[name]
                self.stack.append(tuple([self.pop() for _ in range(size)][::-1]))
            elif handler := getattr(self, f"op_{name.lower()}", None):
                handler(argument)
            else:
                detail = f" {argument[:80]!r}" if isinstance(argument, str) else ""
                raise PickleError(f"refused instruction {name}{detail}; not a network pickle.")
        raise PickleError("not a pickle, or a truncated one.")

    # Instructions that make and fill containers.

    def op_mark(self, _: Any) -> None:
        self.stack.append(_Mark())

    def op_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def op_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def op_list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    def op_append(self, _: Any) -> None:
        value = self.pop()
        self.top(list).append(value)

    def op_appends(self, _: Any) -> None:
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def op_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def op_dict(self, _: Any) -> None:
        values = self.pop_to_mark()
        self.stack.append({})
        self.set_items(values)

    def op_setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def op_setitems(self, _: Any) -> None:
        self.set_items(self.pop_to_mark())

    # Instructions that store values in the memo and fetch them.

    def op_memoize(self, _: Any) -> None:
        self.put(len(self.memo))

    op_put = op_binput = op_long_binput = _Stack.put

    def op_get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    op_binget = op_long_binget = op_get

    # Instructions that name things, and what each name does with its arguments.

    def op_global(self, argument: str) -> None:
        self.push_global(*argument.split(" ", 1))

    def op_stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("damaged pickle: STACK_GLOBAL without two names.")
        self.push_global(module, name)

    def push_global(self, module: str, name: str) -> None:
        """Pushes an allowed name; refuses all others."""
        full_name = f"{module}.{name}"
        # A name with dots could borrow a part of the module's: ("numpy", "core.multiarray.scalar").
        if "." in name or full_name not in _ALLOWED:
            raise PickleError(
                f"refused class {full_name[:80]!r}: network pickles hold NumPy arrays and the "
                "original releases' class `Network` only."
            )
        self.stack.append(_Global(full_name, _ALLOWED[full_name]))

    def op_newobj(self, _: Any) -> None:
        arguments, global_ = self.pop(), self.pop()
        match global_, arguments:
            case _Global(name, "network"), ():
                self.stack.append(StoredNetwork(name))
            case _:
                raise _misuse("NEWOBJ", global_)

    def op_reduce(self, _: Any) -> None:
        arguments, global_ = self.pop(), self.pop()
        match global_, arguments:
            case _Global(meaning="array"), (_Global(meaning="ndarray"), *_):
                self.stack.append(_Unbuilt("array"))
            case _Global(meaning="dtype"), (str(name), *_) if name.lstrip("<>=|") in _DTYPES:
                self.stack.append(_Unbuilt("dtype", name))
            case _Global(meaning="dtype"), (str(name), *_):
                raise PickleError(f"refused dtype {name[:80]!r}; weights are numbers.")
            case _Global(meaning="scalar"), (np.dtype() as dtype, data):
                self.stack.append(_array(data, dtype, (), "C")[()])
            case _Global(meaning="frombuffer"), (data, np.dtype() as dtype, shape, order):
                self.stack.append(_array(data, dtype, shape, order))
            case _Global(meaning="encode"), (str(text), "latin1"):
                self.stack.append(text.encode("latin1"))
            case _:
                raise _misuse("REDUCE", global_)

    def op_build(self, _: Any) -> None:
        state, target = self.pop(), self.pop()
        match target, state:
            case StoredNetwork(), dict():
                target.state = state
                self.stack.append(target)
            case _Unbuilt(kind="array"), (int(), shape, np.dtype() as dtype, fortran, data):
                array = _array(data, dtype, shape, "F" if fortran else "C")
                self.replace(target, array)
            case _Unbuilt(kind="dtype"), (int(), ("<" | ">" | "=" | "|") as order, None, None, *_):
                self.replace(target, np.dtype(target.dtype_name).newbyteorder(order))
            case _:
                raise _misuse("BUILD", target)


def _misuse(opcode: str, target: Any) -> PickleError:
    name = target.name if isinstance(target, _Global) else type(target).__name__
    return PickleError(f"refused {opcode} of {name}; not a network pickle.")


def _array(data: Any, dtype: np.dtype[Any], shape: Any, order: Any) -> np.ndarray:
    """Makes an array from stored bytes; Python 2 pickles hold them as Latin-1 text."""
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise PickleError("damaged pickle: an array without bytes or shape.")
    if not all(isinstance(size, int) and size >= 0 for size in shape) or order not in ("C", "F"):
        raise PickleError("damaged pickle: an array of impossible shape.")
    if dtype.itemsize * math.prod(shape) != len(data):
        raise PickleError(f"damaged pickle: {len(data)} bytes for an array of another shape.")
    return np.frombuffer(data, dtype).reshape(shape, order=order)
