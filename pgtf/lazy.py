"""Packages that are imported without TensorFlow, until a name that needs it is used."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any


def names_of(module: str) -> Callable[[str], Any]:
    """Makes the `__getattr__` of a package that offers the names of one of its modules.

    The module is imported when one of them is first used. Options and flags, which other modules
    of the package define, can be read without it: TensorFlow alone takes seconds.

    Args:
        module: "pgtf.networks.names".
    """
    package = module.rpartition(".")[0]

    def get(name: str) -> Any:
        # Python asks for a module of the package in this way before it imports it.
        if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is None:
            names = importlib.import_module(module)
            if name in names.__all__:
                return getattr(names, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
