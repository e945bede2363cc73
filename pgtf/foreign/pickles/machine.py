"""Executes the instructions of a pickle that make data; there are none that import or call.

The names that a pickle may mention are an allow-list; each stands for one fixed treatment of data.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pgtf.foreign.pickles import arrays
from pgtf.foreign.pickles.instructions import DamagedError, PickleError, instructions
from pgtf.foreign.pickles.stack import Stack, StoredNetwork, Unbuilt

# The meaning of each name that a pickle may contain. NumPy 2 renamed `core` to `_core`. Networks of
# the Theano release have the class network.Network, the TensorFlow release's tfutil.Network.
ALLOWED = {
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

# The labels and file names of CIFAR-100 are 300,000 instructions; as NumPy numbers a million.
MAX_INSTRUCTIONS = 2_000_000

_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = frozenset("INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT".split())
_SIZED = frozenset(
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_TUPLE_SIZES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_WITHOUT_EFFECT = frozenset("PROTO FRAME READONLY_BUFFER STOP".split())


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that a pickle mentions, and its meaning in ALLOWED."""

    name: str
    meaning: str


class Machine(Stack):
    """Executes instructions; it has one method, op_<name>, for each that is no plain value."""

    def run(self, data: bytes) -> Any:
        """Executes the instructions up to STOP. Returns the object on the stack."""
        methods = {name: getattr(self, name) for name in dir(self) if name.startswith("op_")}
        handlers = {name.removeprefix("op_").upper(): method for name, method in methods.items()}
        handlers |= dict.fromkeys(_NUMBERS, self.push) | dict.fromkeys(_SIZED, self.push_sized)
        for number, (name, argument) in enumerate(instructions(data)):
            if number >= MAX_INSTRUCTIONS:
                raise PickleError(f"refused: it has more than {MAX_INSTRUCTIONS} instructions.")
            if (handle := handlers.get(name)) is not None:
                handle(argument)
            elif name in _PLAIN:
                self.push(_PLAIN[name])
            elif name in _TUPLE_SIZES:
                parts = [self.pop() for _ in range(_TUPLE_SIZES[name])][::-1]
                self.push_container(tuple(parts), parts)
            elif name not in _WITHOUT_EFFECT:
                raise DamagedError(f"instruction {name}")
        return self.pop()

    # Instructions that make and fill containers.

    def op_mark(self, _: None) -> None:
        self.mark()

    def op_tuple(self, _: None) -> None:
        parts = self.pop_to_mark()
        self.push_container(tuple(parts), parts)

    def op_empty_list(self, _: None) -> None:
        self.push_container([])

    def op_list(self, _: None) -> None:
        parts = self.pop_to_mark()
        self.push_container(parts, parts)

    def op_append(self, _: None) -> None:
        self.extend_top([self.pop()])

    def op_appends(self, _: None) -> None:
        self.extend_top(self.pop_to_mark())

    def op_empty_dict(self, _: None) -> None:
        self.push_container({})

    def op_dict(self, _: None) -> None:
        values = self.pop_to_mark()
        self.push_container({})
        self.set_items_of_top(values)

    def op_setitem(self, _: None) -> None:
        value, key = self.pop(), self.pop()
        self.set_items_of_top([key, value])

    def op_setitems(self, _: None) -> None:
        self.set_items_of_top(self.pop_to_mark())

    # Instructions that store values in the memo and fetch them.

    def op_memoize(self, _: None) -> None:
        self.memoize()

    op_put = op_binput = op_long_binput = Stack.put
    op_get = op_binget = op_long_binget = Stack.get

    # Instructions that name things, and what each name does with its arguments.

    def op_global(self, names: tuple[str, str]) -> None:
        self.push_global(*names)

    def op_stack_global(self, _: None) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise DamagedError("STACK_GLOBAL without two names")
        self.push_global(module[:80], name[:80])

    def push_global(self, module: str, name: str) -> None:
        """Pushes an allowed name; refuses all others."""
        full_name = f"{module}.{name}"
        # A name with dots could borrow a part of the module's: ("numpy", "core.multiarray.scalar").
        if "." in name or full_name not in ALLOWED:
            raise PickleError(
                f"refused class {full_name[:80]!r}: only plain data, NumPy arrays and the class "
                "`Network` of the original releases are read."
            )
        self.push(Global(full_name, ALLOWED[full_name]))

    def op_newobj(self, _: None) -> None:
        arguments, global_ = self.pop(), self.pop()
        match global_, arguments:
            case Global(name, "network"), ():
                self.push_container(StoredNetwork(name))
            case _:
                raise _misuse("NEWOBJ", global_)

    def op_reduce(self, _: None) -> None:
        arguments, global_ = self.pop(), self.pop()
        # Types come before values in all patterns: an array compares with anything, and is no bool.
        match global_, arguments:
            case Global(meaning="array"), (Global(meaning="ndarray"), _, _):
                self.push_unbuilt(Unbuilt("array"))
            case Global(meaning="dtype"), (str(name), _, _):
                self.push_unbuilt(Unbuilt("dtype", arrays.number_type(name)))
            case Global(meaning="scalar"), (np.dtype() as dtype, data):
                self.push(arrays.array_from(data, dtype, (), "C", self.spend)[()])
            case Global(meaning="frombuffer"), (data, np.dtype() as dtype, shape, str(order)):
                self.push(arrays.array_from(data, dtype, shape, order, self.spend))
            case Global(meaning="encode"), (str(text), str(encoding)) if encoding == "latin1":
                self.push(arrays.latin1_bytes(text, self.spend))
            case _:
                raise _misuse("REDUCE", global_)

    def op_build(self, _: None) -> None:
        state, target = self.pop(), self.pop()
        match target, state:
            case StoredNetwork(), dict():
                self.push(target)
                self.set_state_of_top(state)
            case Unbuilt("array"), (int(), shape, np.dtype() as dtype, int(fortran), data):
                order = "F" if fortran else "C"
                self.replace(target, arrays.array_from(data, dtype, shape, order, self.spend))
            case Unbuilt("dtype"), (int(), str(order), None, None, None, int(), int(), int()):
                self.replace(target, arrays.dtype_from(target.dtype_name, order))
            case _:
                raise _misuse("BUILD", target)


def _misuse(opcode: str, target: Any) -> PickleError:
    name = target.name if isinstance(target, Global) else type(target).__name__
    return PickleError(f"refused {opcode} of {name}; not a pickle of plain data.")
