"""Hostile inputs: pickles that call functions, JSON that is none or has wrong values."""

import copyreg
import functools
import importlib
import operator
import os
import pathlib
import subprocess

import numpy as np


class Call:
    """Pickles as the instruction to call a function; may stand for that function itself."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __call__(self):
        raise TypeError("only what it pickles as is called")

    def __reduce__(self):
        return self.reduced


class BuildOf:
    """Pickles as a call whose result gets a state."""

    def __init__(self, function, arguments, state):
        self.reduced = function, arguments, state

    def __reduce__(self):
        return self.reduced


# Objects whose pickles create the file m when they are loaded by the pickle module.
CALLS = {
    "os.system": lambda m: Call(os.system, f"touch {m}"),
    "eval": lambda m: Call(eval, f"open({m!r}, 'w').close()"),
    "exec": lambda m: Call(exec, f"import pathlib; pathlib.Path({m!r}).touch()"),
    "touch": lambda m: Call(pathlib.Path.touch, pathlib.Path(m)),
    "subprocess": lambda m: Call(subprocess.call, ["touch", m]),
    "nested getattr": lambda m: Call(
        Call(getattr, Call(importlib.import_module, "os"), "system"), f"touch {m}"
    ),
    "getattr of an allowed name": lambda m: Call(
        Call(getattr, Call(getattr, np.ndarray, "__class__"), "mro"), np.dtype
    ),
    "partial": lambda m: Call(Call(functools.partial, os.system, f"touch {m}")),
    "methodcaller": lambda m: Call(
        Call(operator.methodcaller, "system", f"touch {m}"), Call(importlib.import_module, "os")
    ),
    "reduce chain": lambda m: Call(functools.reduce, getattr, [m, "__class__"]),
    "map in a list": lambda m: [Call(list, Call(map, os.system, [f"touch {m}"]))],
    "copyreg": lambda m: Call(copyreg._reconstructor, subprocess.Popen, object, None),
    "inside a dict": lambda m: {"variables": [("lod", Call(os.system, f"touch {m}"))]},
    "as dict key": lambda m: {Call(os.system, f"touch {m}"): 1},
    "in a state": lambda m: BuildOf(dict, (), {"x": Call(os.system, f"touch {m}")}),
    "argument of an array": lambda m: Call(
        np.zeros(1).__reduce__()[0], np.ndarray, (0,), Call(os.system, f"touch {m}")
    ),
    "NumPy's own loader": lambda m: Call(np.load, m),
    "NumPy's own tools": lambda m: Call(np.ndarray.tofile, np.zeros(1), m),
}  # fmt: skip
HARMLESS_WHEN_LOADED = {
    "getattr of an allowed name",
    "reduce chain",
    "copyreg",
    "NumPy's own loader",
}


DEEP = 100_000
# Texts that are no JSON of the kind that is read here, by their fault.
HOSTILE_JSON = {
    "empty": b"",
    "NUL": b"\0" * 64,
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half of a surrogate pair": rb'{"a": "\ud800"}',
    "cut": b'{"a": [1, 2',
    "two texts": b"{} {}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "seventy levels": b'{"a":' * 70 + b"1" + b"}" * 70,
    "a number of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "two values": b'{"a": 1, "a": 2}',
    "a list": b"[1, 2]",
    "text": b'"a"',
    "a number": b"5",
    "null": b"null",
    "code": b"__import__('os').system('true')",
}
# Values that no field takes, each after `json.dumps`.
HOSTILE_VALUES = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "1e999": float("inf"),
    "400 digits": 10**400,
    "minus 400 digits": -(10**400),
    "a list": [[1]],
    "an object": {"a": {"b": 1}},
}
