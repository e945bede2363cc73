"""Loads TensorFlow graphs of others: SavedModels and frozen graphs, after reading what they do.

A graph is a program. Some of its operations write files, open sockets or run Python, and tables and
custom savers run functions while a SavedModel loads. A graph is therefore loaded only if all
operations that can run are on the allow-lists of pgtf/graph_operations.py.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pgtf.graph_operations import PURE, SAVER

_OBJECTS = frozenset(
    "_generic_user_object signature_map trackable_dict_wrapper trackable_list_wrapper "
    "trackable_tuple_wrapper".split()
)
_KINDS = frozenset("user_object function bare_concrete_function constant variable".split())
MAX_MODEL_BYTES = 64 << 20  # weights lie in other files
MAX_FILLED = 1 << 24  # elements that constants of one graph may have without being written out
# Parts of one graph; a network of 1024x1024 has 100 objects, 50 functions and 4000 operations.
MAX_OBJECTS, MAX_FUNCTIONS, MAX_OPERATIONS = 5000, 500, 50_000
MAX_SECONDS = 600.0  # of one call; TensorFlow never returns from some that need too much memory
MAX_CALLS = 64  # functions that call one another, one in the other
T = TypeVar("T")
_GRAPH_FILE = "saved_model.pb"
_OTHER_FILES = ("saved_model.pbtxt", "saved_model.cpb")  # TensorFlow would read these instead


class SavedModel:
    """A SavedModel whose operations are all on the allow-list.

    Args:
        folder: its folder.

    Raises:
        OSError: the folder cannot be read.
        ValueError: it is no SavedModel with signatures, is damaged, or does what is not allowed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder)
        _check(self.path, _parse(self.path))
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(self.path))
            self._signatures: Mapping[str, Any] = dict(self._model.signatures)
        except Exception as error:  # A damaged one fails anywhere in TensorFlow's loader.
            raise ValueError(f"{self.path}: damaged SavedModel ({_reason(error)}).") from None

    def input_shapes(self, signature: str) -> dict[str, tuple[int | None, ...]]:
        """Returns the shape of each input of a signature; None stands for any number."""
        _, specs = self._signature(signature).structured_input_signature
        return {name: tuple(spec.shape) for name, spec in specs.items()}

    def output_types(self, signature: str) -> dict[str, str]:
        """Returns the type of each output of a signature, such as uint8."""
        outputs = self._signature(signature).structured_outputs
        return {name: spec.dtype.name for name, spec in outputs.items()}

    def signature(self, name: str) -> Callable[..., dict[str, np.ndarray]]:
        """Returns a function that takes arrays by name, and returns a dict of arrays.

        Raises:
            ValueError: the model has no such signature. The function raises it if the model fails.
        """
        self._signature(name)
        return functools.partial(self._call, name)

    def _signature(self, name: str) -> Any:
        if name not in self._signatures:
            found = ", ".join(sorted(self._signatures)) or "none"
            raise ValueError(f"{self.path}: must have a signature {name}. Received: {found}.")
        return self._signatures[name]

    def _call(self, name: str, **inputs: Any) -> dict[str, np.ndarray]:
        import tensorflow as tf

        def compute() -> dict[str, np.ndarray]:
            tensors = {key: tf.constant(value) for key, value in inputs.items()}
            return {key: value.numpy() for key, value in self._signatures[name](**tensors).items()}

        try:
            return within_limits(compute)
        except (tf.errors.OpError, TypeError, ValueError, TimeoutError) as error:
            raise ValueError(f"{self.path}: {name} failed ({_reason(error)}).") from None


def within_limits(compute: Callable[[], T]) -> T:
    """Runs a graph of others in a thread that nobody waits for longer than MAX_SECONDS.

    Signals end the process meanwhile, as they do not while TensorFlow computes in the main thread.

    Raises:
        TimeoutError: it takes longer.
    """
    found: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(compute())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    if errors:
        raise errors[0]
    if not found:
        raise TimeoutError(f"it takes longer than {MAX_SECONDS:g} seconds")
    return found[0]


def check_frozen_graph(path: str | os.PathLike[str], graph: Any) -> None:
    """Raises ValueError if a GraphDef without functions holds an operation that is not allowed."""
    if graph.library.function:
        raise ValueError(f"{path}: must be a frozen graph. Received: one with functions.")
    _check_counts(path, operations=(len(graph.node), MAX_OPERATIONS))
    _check_nodes(path, graph.node, PURE, ())
    _check_constants(path, graph.node)


def _parse(folder: Path) -> Any:
    """Reads the description of a SavedModel's graph."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow.core.protobuf import saved_model_pb2

    _refuse_pipes(folder)
    for name in _OTHER_FILES:
        if os.path.lexists(folder / name):
            raise ValueError(f"{folder}: must hold {_GRAPH_FILE} only. Received: {name}.")
    path = folder / _GRAPH_FILE
    if not path.is_file():
        raise ValueError(f"{folder}: not a SavedModel; it holds no {_GRAPH_FILE}.")
    for other in (*folder.glob("*"), *folder.glob("variables/*")):
        if not other.is_file() and not other.is_dir():
            raise ValueError(f"{other}: must be a regular file, not a pipe or a device.")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise ValueError(
            f"{path}: must have up to {MAX_MODEL_BYTES} bytes. Received: {path.stat().st_size}."
        )
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        raise ValueError(f"{path}: damaged SavedModel.") from None
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise ValueError(f"{path}: must be written by tf.saved_model.save of TensorFlow 2.")
    return model.meta_graphs[0]


def _refuse_pipes(folder: Path) -> None:
    """Raises ValueError for what is no regular file: TensorFlow would wait for a pipe."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.isfile(path):
                raise ValueError(f"{path}: must be a regular file, not a pipe or a device.")


def _check(folder: Path, meta_graph: Any) -> None:
    """Raises ValueError if loading the model, or calling it, could do what is not allowed."""
    library, objects = meta_graph.graph_def.library.function, meta_graph.object_graph_def
    num_nodes = len(meta_graph.graph_def.node) + sum(len(each.node_def) for each in library)
    _check_counts(
        folder,
        objects=(len(objects.nodes), MAX_OBJECTS),
        functions=(len(library), MAX_FUNCTIONS),
        operations=(num_nodes, MAX_OPERATIONS),
    )
    functions = {each.signature.name: each.node_def for each in library}
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        # Tables, assets and custom savers run functions or read files while the model loads.
        if kind not in _KINDS or node.saveable_objects or node.registered_saver:
            raise ValueError(f"{folder}: must hold functions and variables. Received: {kind}.")
        if kind == "user_object" and node.user_object.identifier not in _OBJECTS:
            found = repr(node.user_object.identifier[:80])
            raise ValueError(f"{folder}: must hold plain objects. Received: {found}.")
    if missing := sorted(set(objects.concrete_functions) - set(functions)):
        raise ValueError(
            f"{folder}: damaged SavedModel; it lacks the function {missing[0][:80]!r}."
        )
    reached = _reached(folder, functions, objects.concrete_functions)
    for name, nodes in functions.items():
        allowed = PURE if name in reached else PURE | SAVER
        _check_nodes(folder, nodes, allowed, functions)
    _check_nodes(folder, meta_graph.graph_def.node, PURE | SAVER, functions)
    nodes = [node for nodes in functions.values() for node in nodes]
    _check_constants(folder, [*nodes, *meta_graph.graph_def.node])


def _check_counts(path: str | os.PathLike[str], **counts: tuple[int, int]) -> None:
    """Refuses a graph of so many parts that TensorFlow takes minutes to load it."""
    for what, (found, most) in counts.items():
        if found > most:
            raise ValueError(f"{path}: must have at most {most} {what}. Received: {found}.")


def _reached(
    folder: Path, functions: Mapping[str, Iterable[Any]], roots: Iterable[str]
) -> set[str]:
    """Returns the functions that calls of `roots` reach; refuses those that call themselves."""
    depths: dict[str, int] = {}  # how deep the calls in a function go

    def visit(name: str, above: tuple[str, ...]) -> int:
        if name in above or len(above) >= MAX_CALLS:
            raise ValueError(f"{folder}: its functions call themselves, or too many others.")
        if name not in depths:
            called = {each for node in functions[name] for each in _called(node, functions)}
            depths[name] = 1 + max((visit(each, (*above, name)) for each in called), default=0)
        if len(above) + depths[name] > MAX_CALLS:
            raise ValueError(f"{folder}: its functions call themselves, or too many others.")
        return depths[name]

    for name in roots:
        visit(name, ())
    return set(depths)


def _called(node: Any, functions: Collection[str]) -> Iterator[str]:
    """Yields the functions that a node names, as its operation or as an attribute."""
    named = [node.op]
    for value in node.attr.values():
        named += [value.func.name, *(each.name for each in value.list.func)]
    return (name for name in named if name in functions)


def _check_nodes(
    path: str | os.PathLike[str],
    nodes: Iterable[Any],
    allowed: frozenset[str],
    also: Collection[str],
) -> None:
    for node in nodes:
        if node.op not in allowed and node.op not in also:
            raise ValueError(
                f"{path}: refused operation {node.op[:80]!r}; graphs of others may only compute."
            )


def _check_constants(path: str | os.PathLike[str], nodes: Iterable[Any]) -> None:
    """Refuses constants of many elements that are not written out: a few bytes fill any memory."""
    filled = 0
    for node in nodes:
        for attribute in node.attr.values():
            if attribute.HasField("tensor") and not attribute.tensor.tensor_content:
                sizes = [each.size for each in attribute.tensor.tensor_shape.dim]
                filled += MAX_FILLED + 1 if min(sizes, default=0) < 0 else math.prod(sizes[:32])
    if filled > MAX_FILLED:
        raise ValueError(f"{path}: its constants fill more memory than {MAX_FILLED} numbers.")


def _reason(error: BaseException) -> str:
    """Returns the beginning of TensorFlow's message; the rest is a traceback of nodes."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]
