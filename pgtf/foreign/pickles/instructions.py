"""Cuts a pickle into instructions, and decodes the argument of each."""

from __future__ import annotations

import codecs
import pickletools
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_MAX_INTEGER_SIZE = 9  # bytes of the largest unsigned 64-bit number with its sign
_LARGE = 1 << 16  # bytes of an argument, from which a copy takes noticeable time
_MAX_LINE = 256  # bytes of a line that holds a name or a number
_INTEGER = re.compile(rb"-?[0-9]{1,20}")
# Python 2 writes no other escapes, and Python 3 warns about unknown ones.
_UNKNOWN_ESCAPE = re.compile(rb"\\(?!['\"abfnrtv]|x[0-9a-fA-F]{2})")

Argument = tuple[Any, int]  # the argument of an instruction, and the position after it


class PickleError(ValueError):
    """Raised if the data is no pickle, or not one that is read here; the message says why."""


class DamagedError(PickleError):
    """Raised if the data cannot be a whole pickle; the message is the detail in parentheses."""


def instructions(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yields the name and the argument of each instruction up to STOP, which is the last.

    Numbers have at most 64 bits, and text and bytes end before the file does.

    Raises:
        PickleError: for an instruction that is not supported or damaged.
    """
    position, size, names, readers = 0, len(data), _NAMES, _READERS
    while position < size:
        code = data[position]
        position += 1
        if (read := readers.get(code)) is not None:
            argument, position = read(data, position)
            yield names[code], argument
        elif code in _WITHOUT_ARGUMENT:
            yield names[code], None
            if code == _STOP:
                return
        elif code in names:
            raise PickleError(f"refused instruction {_NAMES[code]}: plain data does not need it.")
        else:
            raise DamagedError(f"byte {position - 1} is no instruction")
    raise DamagedError("it does not end")


def _beyond(position: int) -> DamagedError:
    return DamagedError(f"an argument at byte {position} goes beyond the end of the file")


def _number(layout: str) -> Callable[[bytes, int], Argument]:
    """Returns a reader of a fixed number of bytes."""
    unpack_from, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def read(data: bytes, position: int) -> Argument:
        try:
            return unpack_from(data, position)[0], position + size
        except struct.error:
            raise _beyond(position) from None

    return read


def _counted(
    layout: str, decode: Callable[[bytes | memoryview], Any]
) -> Callable[[bytes, int], Argument]:
    """Returns a reader of a size and as many bytes, which `decode` turns into the argument."""
    read_size = _number(layout)

    def read(data: bytes, position: int) -> Argument:
        size, begin = read_size(data, position)
        end = begin + size
        if not begin <= end <= len(data):
            raise _beyond(begin)
        if size < _LARGE:
            return decode(data[begin:end]), end
        return decode(memoryview(data)[begin:end]), end  # not copied twice

    return read


def _line(decode: Callable[[bytes], Any]) -> Callable[[bytes, int], Argument]:
    """Returns a reader of the bytes up to a line break, which `decode` turns into the argument."""

    def read(data: bytes, position: int) -> Argument:
        end = data.find(b"\n", position)
        if end < 0:
            raise DamagedError(f"the line at byte {position} does not end")
        return decode(data[position:end]), end + 1

    return read


def _global(data: bytes, position: int) -> Argument:
    module, position = _line(_name)(data, position)
    name, position = _line(_name)(data, position)
    return (module, name), position


def _name(line: bytes) -> str:
    return line[:_MAX_LINE].decode("latin1")  # A cut name is not among those allowed.


def _latin1(content: bytes | memoryview) -> str:
    return str(content, "latin1")  # Python 2 wrote bytes and text alike.


def _utf8(content: bytes | memoryview) -> str:
    try:
        return str(content, "utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise DamagedError("text that is not UTF-8") from None


def _escaped_unicode(line: bytes) -> str:
    try:
        return line.decode("raw-unicode-escape")
    except UnicodeDecodeError:
        raise DamagedError("text with a broken escape") from None


def _quoted(line: bytes) -> str:
    body = line.strip(b" \t\r")
    if len(body) < 2 or body[:1] not in (b"'", b'"') or body[-1:] != body[:1]:
        raise DamagedError("text without quotation marks")
    body = body[1:-1]
    if _UNKNOWN_ESCAPE.search(body.replace(b"\\\\", b"")):
        raise DamagedError("text with an unknown escape")
    try:
        return codecs.escape_decode(body)[0].decode("latin1")
    except ValueError:
        raise DamagedError("text with a broken escape") from None


def _integer(line: bytes) -> int:
    line = line.removesuffix(b"L")
    if not _INTEGER.fullmatch(line):
        raise DamagedError("a number of more than 64 bits, or none")
    return int(line)


def _integer_or_truth(line: bytes) -> int | bool:
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else _integer(line)


def _binary_integer(content: bytes | memoryview) -> int:
    if len(content) > _MAX_INTEGER_SIZE:
        raise DamagedError("a number of more than 64 bits")
    return int.from_bytes(content, "little", signed=True)


def _decimal(line: bytes) -> float:
    try:
        return float(line[:_MAX_LINE])
    except ValueError:
        raise DamagedError("a number that is none") from None


def _codes(names: str) -> set[int]:
    return {code for code, name in _NAMES.items() if name in names.split()}


_READERS: dict[int, Callable[[bytes, int], Argument]] = {
    code: reader
    for names, reader in {
        "PROTO BININT1 BINPUT BINGET": _number("<B"),
        "BININT2": _number("<H"),
        "BININT": _number("<i"),
        "LONG_BINPUT LONG_BINGET": _number("<I"),
        "FRAME": _number("<Q"),
        "BINFLOAT": _number(">d"),
        "LONG1": _counted("<B", _binary_integer),
        "LONG4": _counted("<i", _binary_integer),
        "SHORT_BINSTRING": _counted("<B", _latin1),
        "BINSTRING": _counted("<i", _latin1),
        "SHORT_BINBYTES": _counted("<B", bytes),
        "BINBYTES": _counted("<I", bytes),
        "BINBYTES8": _counted("<Q", bytes),
        "BYTEARRAY8": _counted("<Q", bytearray),
        "SHORT_BINUNICODE": _counted("<B", _utf8),
        "BINUNICODE": _counted("<I", _utf8),
        "BINUNICODE8": _counted("<Q", _utf8),
        "UNICODE": _line(_escaped_unicode),
        "STRING": _line(_quoted),
        "INT": _line(_integer_or_truth),
        "LONG PUT GET": _line(_integer),
        "FLOAT": _line(_decimal),
        "GLOBAL": _global,
    }.items()
    for code in _codes(names)
}
_WITHOUT_ARGUMENT = _codes(
    "NONE NEWTRUE NEWFALSE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE MARK EMPTY_LIST LIST APPEND "
    "APPENDS EMPTY_DICT DICT SETITEM SETITEMS MEMOIZE STACK_GLOBAL NEWOBJ REDUCE BUILD "
    "READONLY_BUFFER STOP"
)
(_STOP,) = _codes("STOP")
