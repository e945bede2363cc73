"""Compares values of JSON that others wrote with type annotations, before anything uses them."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any

from pgtf.foreign import numbers
from pgtf.foreign.messages import joined, plain, shown

_LISTS = (list, tuple, collections.abc.Sequence)
_OBJECTS = (dict, collections.abc.Mapping)
_WORDS: dict[Any, str] = {
    **{bool: "true or false", int: "an integer", float: "a number", str: "text"},
    **{types.NoneType: "null", None: "null"},
}
_PLURALS: dict[Any, str] = {int: "integers", float: "numbers", str: "texts"}


@dataclasses.dataclass(frozen=True)
class Between:
    """Range of a number, for Annotated[int, Between(0, 9)], and its name in messages."""

    low: float
    high: float
    words: str = ""


@dataclasses.dataclass(frozen=True)
class MaybeInfinite:
    """Mark of a float that may also be NaN or infinite: Annotated[float, MaybeInfinite()]."""


Count = typing.Annotated[int, Between(0, numbers.MAX_INTEGER)]
Real = typing.Annotated[float, MaybeInfinite()]  # a loss, or anything else that may diverge


class _Wrong(Exception):
    """Carries the place of a value, its rule, and the value."""

    def __init__(self, name: str, rule: str, value: Any) -> None:
        super().__init__(name, rule, value)
        self.name, self.rule, self.value = name, rule, value


def read_as(kind: Any, value: Any, source: str, remedy: str = "", within: str = "") -> Any:
    """Compares a value of JSON with a type and converts it to tuples and dataclasses.

    Numbers are finite and have at most 64 bits, unless the annotation says otherwise.

    Args:
        kind: bool, int, float, str, None, Any, a Literal, a union, list[T], tuple[T, ...],
            tuple[A, B], dict[str, T], or Annotated with Between or MaybeInfinite. A dataclass has
            no other fields than its own. A TypedDict may have others, which are kept.
        value: result of `json_files.parse_json`.
        source: name of the file, and the line if it has several.
        remedy: a sentence that ends the message.
        within: name of the part of the source that holds the value.

    Raises:
        ValueError: a value has another type; the message names source and field.
    """
    try:
        return _read(kind, value, "")
    except _Wrong as wrong:
        names = [f"`{plain(name)}`" for name in (wrong.name, within) if name]
        what = " ".join([" in ".join(names), "must be", wrong.rule]).strip()
        message = f"{source}: {what}. Received: {shown(wrong.value)}."
    except ValueError as error:  # of a dataclass that checks itself
        message = f"{source}: {error}"
    raise ValueError(f"{message} {remedy}".rstrip())


def resolved(kind: Any) -> Any:
    """Evaluates the annotations of a dataclass or TypedDict now, not when a file is read."""
    _hints(kind)  # which keeps them
    return kind


def _read(kind: Any, value: Any, name: str) -> Any:
    origin, args = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Annotated:
        if args[0] in (int, float):
            return _read_number(kind, value, name)
        return _read(args[0], value, name)
    if origin in (types.UnionType, typing.Union):
        return _read_union(kind, args, value, name)
    if kind is Any:
        return value
    if kind in (int, float):
        return _read_number(kind, value, name)
    if origin is typing.Literal:
        if isinstance(value, str) and value in args:
            return value
    elif kind in (None, types.NoneType):
        if value is None:
            return None
    elif kind in (bool, str):
        if type(value) is kind:
            return value
    elif origin in _LISTS:
        return _read_list(kind, origin, args, value, name)
    elif isinstance(value, dict):
        return _read_object(kind, origin, args, value, name)
    raise _Wrong(name, describe(kind), value)


def _read_number(kind: Any, value: Any, name: str) -> Any:
    if (found := _number_reader(kind)(value)) is None:
        raise _Wrong(name, describe(kind), value)
    return found


@functools.cache
def _number_reader(kind: Any) -> Callable[[Any], float | None]:
    """Returns a function that returns a number of a kind, and None for anything else."""
    bounds: dict[str, Any] = {}
    for mark in _marks(kind, Between):
        bounds = {"low": mark.low, "high": mark.high}
    if kind is int or int in typing.get_args(kind):
        return functools.partial(numbers.integer, **bounds)
    return functools.partial(numbers.real, **bounds, finite=not _marks(kind, MaybeInfinite))


def _marks(kind: Any, mark: type) -> list[Any]:
    """Lists the marks of a kind in Annotated[...]; [] for another type."""
    return [arg for arg in typing.get_args(kind) if isinstance(arg, mark)]


def _read_union(kind: Any, choices: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and types.NoneType in choices:
        return None
    others = [choice for choice in choices if choice is not types.NoneType]
    for choice in others:
        try:
            return _read(choice, value, name)
        except _Wrong as wrong:
            if wrong.name != name:  # A part of the value is wrong, not the value.
                raise
    raise _Wrong(name, describe(kind), value)


def _read_list(kind: Any, origin: Any, args: tuple[Any, ...], value: Any, name: str) -> Any:
    if not isinstance(value, list):
        raise _Wrong(name, describe(kind), value)
    kinds = list(args or (Any,))
    if origin is not tuple or kinds[-1] is ...:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise _Wrong(name, f"a list of {len(kinds)} values", value)
    found = [_read(k, v, f"{name}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True))]
    return tuple(found) if origin is tuple else found


def _read_object(
    kind: Any, origin: Any, args: tuple[Any, ...], value: dict[str, Any], name: str
) -> Any:
    prefix = f"{name}." if name else ""
    if origin in _OBJECTS:
        of_values = args[1] if args else Any
        return {k: _read(of_values, v, f"{prefix}{k}") for k, v in value.items()}
    hints = _hints(kind)
    found = {k: _read(hints[k], v, f"{prefix}{k}") for k, v in value.items() if k in hints}
    if dataclasses.is_dataclass(kind):
        if unknown := [k for k in value if k not in hints]:
            raise _Wrong(name, f"an object without {joined(map(plain, unknown))}", value)
        required = {
            field.name
            for field in dataclasses.fields(kind)
            if field.default is field.default_factory is dataclasses.MISSING
        }
    else:
        required = kind.__required_keys__
    if missing := sorted(required - value.keys()):
        raise _Wrong(name, f"an object with {joined(missing)}", value)
    make: Any = kind if dataclasses.is_dataclass(kind) else lambda **known: value | known
    return make(**found)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def describe(kind: Any) -> str:
    """Describes a type in words: "an integer"."""
    origin, args = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Annotated:
        words = describe(args[0])
        for mark in _marks(kind, Between):
            words = mark.words or f"{words} in {mark.low:g} ... {mark.high:g}"
        return words
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(describe, args))
    if origin is typing.Literal:
        return " or ".join(map(str, args))
    if origin in _LISTS:
        plural = _PLURALS.get(args[0]) if args else None
        return f"a list of {plural}" if plural else "a list"
    return _WORDS.get(kind, "an object")
