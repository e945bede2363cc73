"""Stack, marks and memo of one run, with limits of memory and nesting.

Every limit is kept by a few additions per instruction, before anything is allocated.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from typing import Any

from pgtf.foreign.pickles.instructions import DamagedError, PickleError

MAX_DEPTH = 32  # of containers in each other; the networks of a release need 5
# Bytes that values may take: some per byte of the file, because text is decoded and encoded again,
# and some for many small values, such as labels that are NumPy numbers.
BYTES_PER_BYTE, BYTES_FREE = 4, 64 << 20
OBJECT_BYTES, _ENTRY_BYTES = 256, 128  # of an empty container or array, and of a dict's entry


@dataclasses.dataclass(eq=False, slots=True)
class StoredNetwork:
    """An instance of the original's class `Network`: nothing but its pickled state."""

    class_name: str
    state: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(eq=False, slots=True)
class Unbuilt:
    """An array or dtype whose content will come with BUILD."""

    kind: str
    dtype_name: str = ""
    memo_keys: list[int] = dataclasses.field(default_factory=list)


_CONTAINERS = frozenset({tuple, list, dict, StoredNetwork})


class Stack:
    """The values, marks and memo of one run."""

    def __init__(self, num_bytes: int) -> None:
        """Starts empty; `num_bytes` is the size of the pickle."""
        self._values: list[Any] = []
        self._marks: list[int] = []  # sizes of the stack when they were set
        self._memo: dict[int, Any] = {}  # a dict, so that a huge index costs nothing
        self._bytes_left = BYTES_FREE + BYTES_PER_BYTE * num_bytes
        # Facts about containers by id, which is forgotten when the next one gets it.
        self._depths: dict[int, int] = {}  # those deeper than 1
        self._contained: set[int] = set()  # those that are part of another one

    def spend(self, num_bytes: int) -> None:
        """Counts bytes of a value; PickleError if the pickle makes far more than it has."""
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise PickleError("refused: its values take far more memory than the file.")

    def push(self, value: Any) -> None:
        """Puts a value without parts, or one that `push_container` has seen, on top."""
        self._values.append(value)

    def push_sized(self, value: str | bytes | bytearray) -> None:
        """Puts text or bytes of the file on top."""
        self.spend(sys.getsizeof(value))
        self._values.append(value)

    def push_container(self, value: Any, parts: Iterable[Any] = ()) -> None:
        """Puts a new container on top; `parts` are the values in it."""
        self.spend(OBJECT_BYTES)
        self._depths.pop(id(value), None)
        self._contained.discard(id(value))
        self._values.append(value)
        self._add_depth(value, parts)

    def push_unbuilt(self, value: Unbuilt) -> None:
        """Puts an array or dtype whose content will come on top."""
        self.spend(OBJECT_BYTES)
        self._values.append(value)

    def pop(self) -> Any:
        """Takes the top value, which must be above the last mark."""
        if len(self._values) <= (self._marks[-1] if self._marks else 0):
            raise DamagedError("an instruction without its value")
        return self._values.pop()

    def mark(self) -> None:
        """Sets a mark above the top value."""
        self._marks.append(len(self._values))

    def pop_to_mark(self) -> list[Any]:
        """Takes all values above the last mark, and the mark."""
        if not self._marks:
            raise DamagedError("an instruction without its mark")
        begin = self._marks.pop()
        values = self._values[begin:]
        del self._values[begin:]
        return values

    def extend_top(self, values: list[Any]) -> None:
        """Adds values to the list on top."""
        target = self._top(list)
        self._add_depth(target, values)
        target.extend(values)

    def set_items_of_top(self, values: list[Any]) -> None:
        """Adds alternating keys and values to the dict on top."""
        if len(values) % 2:
            raise DamagedError("a dict with a key without value")
        if not all(isinstance(key, str | bytes) for key in values[::2]):
            raise PickleError("refused a dict whose keys are not text.")
        target = self._top(dict)
        self._add_depth(target, values[1::2])
        self.spend(_ENTRY_BYTES * (len(values) // 2))
        target.update(zip(values[::2], values[1::2], strict=True))

    def set_state_of_top(self, state: dict[str, Any]) -> None:
        """Gives the network on top its state."""
        target = self._top(StoredNetwork)
        self._add_depth(target, [state])
        target.state = state

    def put(self, key: int) -> None:
        """Stores the top value in the memo."""
        value = self.pop()
        self._values.append(value)
        self.spend(_ENTRY_BYTES)
        if isinstance(value, Unbuilt):
            value.memo_keys.append(key)
        self._memo[key] = value

    def memoize(self) -> None:
        """Stores the top value in the memo under the next number."""
        self.put(len(self._memo))

    def get(self, key: int) -> None:
        """Puts a value of the memo on top."""
        if key not in self._memo:
            raise DamagedError("a value that was never stored")
        self._values.append(self._memo[key])

    def replace(self, unbuilt: Unbuilt, value: Any) -> None:
        """Pushes a built value and puts it in the memo in place of the unbuilt one."""
        for key in unbuilt.memo_keys:
            self._memo[key] = value
        self._values.append(value)

    def _top(self, kind: type) -> Any:
        """Returns the container on top, which must be of a kind, and leaves it there."""
        value = self.pop()
        self._values.append(value)
        if type(value) is not kind:
            raise DamagedError(f"{kind.__name__} expected")
        return value

    def _add_depth(self, target: Any, parts: Iterable[Any]) -> None:
        """Notes that a container gets these parts, each of which is complete by now.

        A container that is part of another one does not change any more. It can then never get into
        itself, and its depth is known when it is used.
        """
        depth = self._depths.get(id(target), 1)
        for part in parts:
            kind = type(part)
            if kind in _CONTAINERS:
                depth = max(depth, 1 + self._depths.get(id(part), 1))
                self._contained.add(id(part))
            elif kind is Unbuilt:
                raise DamagedError("an array or dtype without its content")
        if id(target) in self._contained:
            raise PickleError("refused: it changes a list or dict that is part of another one.")
        if depth > MAX_DEPTH:
            raise PickleError(f"refused: more than {MAX_DEPTH} values are nested in each other.")
        if depth > 1:
            self._depths[id(target)] = depth
