"""Imports that wait for their first use, because TensorFlow takes seconds.

Flags, their help and the options behind them do without it.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # Every command waits for this module before it can be interrupted in peace.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


def names_of(module: str) -> Callable[[str], Any]:
    """Makes the `__getattr__` of a package that offers the names of one of its modules.

    The module is imported when one of them is first used.

    Args:
        module: "pgtf.networks.names".
    """
    package = module.rpartition(".")[0]

    def get(name: str) -> Any:
        import importlib.util

        # Python asks for a module of the package in this way before it imports it.
        if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is None:
            names = importlib.import_module(module)
            if name in names.__all__:
                return getattr(names, name)
        raise _missing(package, name)

    return get


def names_in(
    package: str, modules_by_name: Mapping[str, str], modules: Iterable[str] = ()
) -> Callable[[str], Any]:
    """Makes the `__getattr__` of a package that offers names of several modules.

    Each module is imported when one of its names is first used.

    Args:
        package: "pgtf".
        modules_by_name: the module that defines each name.
        modules: modules of the package to offer as well, without its name.
    """
    offered = set(modules)

    def get(name: str) -> Any:
        if name in modules_by_name:
            return getattr(importlib.import_module(modules_by_name[name]), name)
        if name in offered:
            return importlib.import_module(f"{package}.{name}")
        raise _missing(package, name)

    return get


def _missing(package: str, name: str) -> AttributeError:
    """Makes the error of a name that no module has; Python adds the name that was meant."""
    text = f"module {package!r} has no attribute {name!r}"
    return AttributeError(text, name=name, obj=sys.modules.get(package))


class Module:
    """Stands for a module and imports it at the first use of a name in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)
