"""SavedModels and frozen graphs of others are read before they are loaded."""

import os
import pathlib
import shutil
import threading

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pgtf import graph_operations, graphs
from pgtf.graphs import SavedModel, check_frozen_graph

FIRST_EDITION = pathlib.Path(__file__).parent / "data/first-edition/model/faces/1"


def _saved(folder, function, **attributes):
    """Saves a SavedModel whose one signature is `function` of x, float32 [n]."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    spec = tf.TensorSpec([None], tf.float32, name="x")
    concrete = tf.function(function, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": concrete})
    return folder


def _changed(folder, change):
    """Applies `change` to the stored description of a SavedModel's graph."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    return folder


def test_a_model_that_only_computes_gives_its_values(tmp_path):
    scale = tf.Variable([2.0, 3.0])
    model = SavedModel(_saved(tmp_path, lambda x: {"y": x * scale}, scale=scale))
    assert model.input_shapes("serving_default") == {"x": (None,)}
    found = model.signature("serving_default")(x=np.float32([5, 7]))
    assert found["y"].tolist() == [10, 21]


def test_exports_of_the_first_edition_are_allowed():
    assert SavedModel(FIRST_EDITION).signature("info")(dummy=np.zeros(1, np.int64))["name"][0]


def _writes(x, path):
    with tf.control_dependencies([tf.io.write_file(path, "written")]):
        return {"y": tf.identity(x)}


def _prints(x, path):
    tf.print(x, output_stream=f"file://{path}")
    return {"y": tf.identity(x)}


def _saves(x, path):
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return {"y": tf.identity(x)}


def _restores(x, path):
    restored = tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return {"y": restored[0]}


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        ("WriteFile", _writes),
        ("ReadFile", lambda x, path: {"y": tf.io.read_file(path)}),
        ("MatchingFiles", lambda x, path: {"y": tf.io.matching_files(path)}),
        ("EagerPyFunc", lambda x, path: {"y": tf.py_function(lambda a: a, [x], tf.float32)}),
        ("PrintV2", _prints),
        ("SaveV2", _saves),
        ("RestoreV2", _restores),
    ],
)
def test_an_operation_that_reaches_outside_is_refused_by_name(tmp_path, operation, function):
    target = str(tmp_path / "target")
    folder = _saved(tmp_path / "model", lambda x: function(x, target))
    with pytest.raises(ValueError, match=f"model: refused operation '{operation}'"):
        SavedModel(folder)
    assert not any(path.name.startswith("target") for path in tmp_path.iterdir())


def test_an_operation_deep_in_called_functions_and_branches_is_found(tmp_path):
    target = str(tmp_path / "target")

    @tf.function
    def inner(x):
        return tf.cond(x[0] > 0, lambda: _writes(x, target)["y"], lambda: x)

    folder = _saved(tmp_path / "model", lambda x: {"y": tf.map_fn(inner, x[:, tf.newaxis])})
    with pytest.raises(ValueError, match="refused operation 'WriteFile'"):
        SavedModel(folder)


def test_saver_operations_are_allowed_only_where_nothing_calls_them(tmp_path):
    """Every SavedModel holds SaveV2 in functions of its saver; a signature must not reach them."""

    def call_the_saver(meta_graph):
        library = meta_graph.graph_def.library.function
        (saver,) = (each for each in library if any(n.op == "SaveV2" for n in each.node_def))
        name = meta_graph.object_graph_def.concrete_functions
        signature = next(each for each in library if each.signature.name in name)
        signature.node_def.add(name="extra", op="StatefulPartitionedCall").attr[
            "f"
        ].func.name = saver.signature.name

    folder = _saved(tmp_path, lambda x: {"y": x + 1})
    SavedModel(folder)
    with pytest.raises(ValueError, match="refused operation '(SaveV2|Sharded|MergeV2)"):
        SavedModel(_changed(folder, call_the_saver))


def test_tables_and_assets_run_while_a_model_loads_and_are_refused(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("a\nb\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(words),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )
    folder = _saved(tmp_path / "model", lambda x: {"y": x}, table=table)
    with pytest.raises(ValueError, match=r"functions and variables. Received: (asset|resource)"):
        SavedModel(folder)


def _recurse(meta_graph):
    for function in meta_graph.graph_def.library.function:
        call = function.node_def.add(name="again", op="StatefulPartitionedCall")
        call.attr["f"].func.name = function.signature.name


def _fill(meta_graph):
    constant = meta_graph.graph_def.node.add(name="filled", op="Const").attr["value"].tensor
    constant.tensor_shape.dim.add(size=graphs.MAX_FILLED + 1)
    constant.float_val.append(1.0)


def _revive(meta_graph):
    meta_graph.object_graph_def.nodes[0].user_object.identifier = "_tf_keras_layer"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_recurse, "functions call themselves"),
        (_fill, "constants fill more memory"),
        (_revive, "plain objects. Received: '_tf_keras_layer'"),
        (lambda meta: meta.ClearField("object_graph_def"), "tf.saved_model.save of TensorFlow 2"),
        (lambda meta: meta.graph_def.library.ClearField("function"), "it lacks the function"),
    ],
)
def test_what_could_run_fill_or_hang_is_refused(tmp_path, change, message):
    folder = _changed(_saved(tmp_path / "model", lambda x: {"y": x + 1}), change)
    with pytest.raises(ValueError, match=f"{tmp_path / 'model'}.*{message}"):
        SavedModel(folder)


def test_other_descriptions_beside_the_one_checked_are_refused(tmp_path):
    shutil.copytree(FIRST_EDITION, tmp_path / "model")
    (tmp_path / "model/saved_model.cpb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"saved_model.pb only. Received: saved_model.cpb"):
        SavedModel(tmp_path / "model")


@pytest.mark.parametrize("name", ["variables/variables.index", "fingerprint.pb"])
@pytest.mark.parametrize("is_pipe", [True, False])
def test_pipes_and_devices_in_a_model_are_refused(tmp_path, name, is_pipe):
    shutil.copytree(FIRST_EDITION, tmp_path / "1")
    path = tmp_path / "1" / name
    path.unlink()
    os.mkfifo(path) if is_pipe else os.symlink("/dev/zero", path)
    with pytest.raises(ValueError, match=f"^{path}: must be a regular file, not a pipe"):
        SavedModel(tmp_path / "1")


def test_a_damaged_model_is_one_line(tmp_path):
    rng = np.random.RandomState(0)
    shutil.copytree(FIRST_EDITION, tmp_path / "model")
    good = (FIRST_EDITION / "saved_model.pb").read_bytes()
    for _ in range(40):
        content = bytearray(good)
        for place in rng.randint(len(good), size=3):
            content[place] = rng.randint(256)
        (tmp_path / "model/saved_model.pb").write_bytes(
            content[: rng.randint(len(good) // 2) or None]
        )
        with pytest.raises(ValueError, match=str(tmp_path)) as error:
            SavedModel(tmp_path / "model")
        assert "\n" not in str(error.value)


def test_a_model_that_fails_names_itself(tmp_path):
    folder = _saved(tmp_path, lambda x: {"y": tf.matmul(x[tf.newaxis], tf.ones([3, 1]))})
    model = SavedModel(folder)
    with pytest.raises(ValueError, match=f"{tmp_path}: serving_default failed"):
        model.signature("serving_default")(x=np.float32([1, 2]))
    with pytest.raises(ValueError, match=f"{tmp_path}: must have a signature png. Received: serv"):
        model.signature("png")


def test_a_frozen_graph_that_writes_a_file_is_refused():
    graph = graph_pb2.GraphDef()
    graph.node.add(name="write", op="WriteFile")
    with pytest.raises(ValueError, match="graph.pb: refused operation 'WriteFile'"):
        check_frozen_graph("graph.pb", graph)
    graph = graph_pb2.GraphDef()
    graph.library.function.add().signature.name = "f"
    with pytest.raises(ValueError, match="graph.pb: must be a frozen graph"):
        check_frozen_graph("graph.pb", graph)


def test_no_allowed_operation_is_one_of_files_processes_or_networks():
    forbidden = (
        "File",
        "Save",
        "Restore",
        "Py",
        "Send",
        "Recv",
        "Rpc",
        "Print",
        "Dataset",
        "Table",
    )
    allowed = {name for name in graph_operations.PURE if any(part in name for part in forbidden)}
    assert not allowed
    assert graph_operations.PURE <= set(dir(tf.raw_ops))


@pytest.mark.parametrize("limit", ["MAX_OBJECTS", "MAX_FUNCTIONS", "MAX_OPERATIONS"])
def test_a_model_of_very_many_parts_is_not_loaded(limit, tmp_path, monkeypatch):
    folder = _saved(tmp_path, lambda x: {"y": x * x})
    monkeypatch.setattr(graphs, limit, 1)
    monkeypatch.setattr(tf.saved_model, "load", lambda path: pytest.fail("loaded"))
    what = limit.removeprefix("MAX_").lower()
    with pytest.raises(ValueError, match=rf"must have at most 1 {what}. Received: \d+"):
        SavedModel(folder)


def test_a_frozen_graph_of_very_many_operations_is_refused(tmp_path):
    graph = graph_pb2.GraphDef()
    for number in range(graphs.MAX_OPERATIONS + 1):
        graph.node.add(op="NoOp", name=f"x{number}")
    with pytest.raises(ValueError, match="must have at most 50000 operations. Received: 50001"):
        check_frozen_graph("graph.pb", graph)


def test_a_call_that_does_not_return_is_given_up(tmp_path, monkeypatch):
    model = SavedModel(_saved(tmp_path, lambda x: {"y": x}))
    ended = threading.Event()
    monkeypatch.setitem(model._signatures, "serving_default", lambda **inputs: ended.wait(60))
    monkeypatch.setattr(graphs, "MAX_SECONDS", 0.1)
    with pytest.raises(ValueError, match="serving_default failed .* it takes longer than 0.1 sec"):
        model.signature("serving_default")(x=np.zeros(1, np.float32))
    ended.set()


def test_errors_of_a_call_are_those_that_it_raises():
    assert graphs.within_limits(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        graphs.within_limits(lambda: 1 // 0)
