"""ONNX and TensorFlow Lite files, run by their own runtimes."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from pgtf import images
from pgtf.export import edge
from tests import tiny


@pytest.fixture(params=["plain", "labelled", "unfused", "4x4", "mnist1k", "batch_norm"])
def Gs(request, rng):
    """Generators with every kind of layer; the first two are those of the exported models."""
    if request.param in ("plain", "labelled"):
        return request.getfixturevalue(request.param).Gs
    options = {
        "unfused": {"fused_scale": False},
        "4x4": {"resolution": 4},
        "mnist1k": {"structure": "mnist1k", "resolution": 32, "progressive": False},
        "batch_norm": {"use_batchnorm": True, "wscale_constant": "rms", "tanh_at_end": 1.0},
    }
    return tiny.with_random_biases(tiny.generator(**options[request.param]), rng)


def inputs_of(Gs, rng):
    """Three rows of very different length; the check of the export had another number."""
    scales = np.float32([[1], [1e20], [1e-6]])
    inputs = {"latents": rng.normal(size=[3, Gs.latent_size]).astype(np.float32) * scales}
    if Gs.config.label_size:
        inputs["labels"] = np.eye(3, dtype=np.float32)
    return inputs


def levels_off(answer, Gs, inputs):
    live = images.to_uint8(Gs(inputs["latents"], inputs.get("labels")).numpy())
    assert (answer.dtype, answer.shape) == (np.uint8, live.shape)
    return np.abs(answer.astype(int) - live).max()


def test_a_tflite_file_gives_the_live_images(Gs, tmp_path, rng):
    edge.export_edge(Gs, tmp_path / "model.tflite", "tflite")
    inputs = inputs_of(Gs, rng)
    answer = edge._run_tflite((tmp_path / "model.tflite").read_bytes(), inputs, None)
    assert levels_off(answer, Gs, inputs) <= 1


def test_an_onnx_file_gives_the_live_images(Gs, tmp_path, rng, caplog):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    # SavedModels that other tests of this process load leave tables there, which are warned of.
    tf.compat.v1.get_default_graph().clear_collection("table_initializer")
    edge.export_edge(Gs, tmp_path / "model.onnx", "onnx")
    assert caplog.text == ""
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    inputs = inputs_of(Gs, rng)
    assert {value.name for value in session.get_inputs()} == inputs.keys()
    assert [value.shape[0] for value in session.get_outputs()] == ["N"]
    assert levels_off(session.run(["images"], inputs)[0], Gs, inputs) <= 1


def test_a_file_that_gives_other_images_is_not_written(tmp_path, monkeypatch):
    convert, run = edge.FORMATS["tflite"]
    wrong = convert, lambda *given: 255 - run(*given)
    monkeypatch.setitem(edge.FORMATS, "tflite", wrong)
    with pytest.raises(ValueError, match="model.tflite was not written: a pixel is .* levels off"):
        edge.export_edge(tiny.generator(), tmp_path / "model.tflite", "tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it raises
    with pytest.raises(ValueError, match="pip install tf2onnx onnxruntime"):
        edge.export_edge(tiny.generator(), tmp_path / "model.onnx", "onnx")
