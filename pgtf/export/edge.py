"""Writes a generator as one ONNX or TensorFlow Lite file, checked against the SavedModel."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf import files, images
from pgtf.export import saving
from pgtf.export.export import NUM_CHECKED
from pgtf.export.self_check import largest_difference
from pgtf.export.serving_files import sample_inputs
from pgtf.export.signatures import Facts, make_module
from pgtf.label_groups import standardised
from pgtf.networks import Generator

ONNX_OPSET = 17
SIGNATURE = "serving_default"


def export_edge(
    Gs: Generator, path: str | os.PathLike[str], file_format: str, facts: Facts | None = None
) -> None:
    """Writes one file: latents [N, latent_size] (+ labels [N, label_size]) -> images NHWC.

    N is free. There is no `status`, because nobody else's rows are in the batch. Before the file
    appears, its runtime generates images on the CPU, which must be within one gray level of the
    SavedModel's.

    Args:
        Gs: the generator; exported at its own lod.
        path: file to write.
        file_format: "onnx" (needs tf2onnx and onnxruntime) or "tflite".
        facts: type of the images and kinds of the labels; None = 8 bits, classes.

    Raises:
        ValueError: if a package is missing, or the images differ.
        OSError: if the file cannot be written.
    """
    convert, run = FORMATS[file_format]
    packages = _packages(file_format)
    with tempfile.TemporaryDirectory() as folder:
        facts = facts or Facts(name=Path(path).stem)
        module, signatures = make_module(Gs, facts)
        saving.save(module, folder, {SIGNATURE: signatures[SIGNATURE]})
        signature = tf.saved_model.load(folder).signatures[SIGNATURE]
        specs = signature.structured_input_signature[1]
        inputs = sample_inputs(specs, NUM_CHECKED)
        expected = signature(**{name: tf.constant(x) for name, x in inputs.items()})["images"]
    content = convert(_inference_function(Gs, list(specs.values()), facts), packages)
    answer = run(content, inputs, packages)
    where = f"{path} was not written"
    largest_difference(where, answer, expected.numpy(), facts.depth.value_range)
    files.write_atomically(path, content)


def _packages(file_format: str) -> Any:
    """Imports the packages of a format: (tf2onnx, onnxruntime), or None if it needs none."""
    if file_format != "onnx":
        return None
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ValueError(
            f"ONNX needs the package {error.name}: pip install tf2onnx onnxruntime."
        ) from None
    return tf2onnx, onnxruntime


def _inference_function(Gs: Generator, specs: Sequence[tf.TensorSpec], facts: Facts) -> Any:
    """Makes a tf.function of the network alone, with operations that both formats have."""
    model, alpha = Gs.model_at(Gs.lod)
    alpha = float(alpha)

    def generate(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = {spec.name: value for spec, value in zip(specs, values, strict=True)}
        labels = rows.get("labels")
        if labels is not None:
            labels = standardised(labels, facts.groups_of(Gs))
        inputs = Gs.inputs(rows["latents"], labels, tf.constant(alpha))
        x = model(Gs.of_any_scale(inputs))
        if not facts.depth.is_8bit:
            return {"images": facts.depth.tensor_from_model(x)}
        x = images.adjust_drange(x, images.DRANGE, images.UINT8_DRANGE)
        return {"images": tf.cast(tf.minimum(tf.maximum(tf.round(x), 0.0), 255.0), tf.uint8)}

    return tf.function(generate, input_signature=specs, autograph=False)


def _to_tflite(generate: Any, packages: None) -> bytes:
    module = tf.Module()
    module.generate = generate
    with tempfile.TemporaryDirectory() as folder:
        function = generate.get_concrete_function()
        module.variables_used = list(function.graph.variables)
        saving.save(module, folder, {SIGNATURE: function})
        content: bytes = tf.lite.TFLiteConverter.from_saved_model(folder, [SIGNATURE]).convert()
    return content


def _run_tflite(content: bytes, inputs: Mapping[str, np.ndarray], packages: None) -> np.ndarray:
    with warnings.catch_warnings():
        # The interpreter will move to its own package; TensorFlow 2.18-2.21 still have it.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        runner = tf.lite.Interpreter(model_content=content).get_signature_runner(SIGNATURE)
    answer: np.ndarray = runner(**inputs)["images"]
    return answer


def _to_onnx(generate: Any, packages: Any) -> bytes:
    tf2onnx, _ = packages
    # It warns about optimizations that do not apply.
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(generate, generate.input_signature, opset=ONNX_OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    content: bytes = model.SerializeToString()
    return content


def _run_onnx(content: bytes, inputs: Mapping[str, np.ndarray], packages: Any) -> np.ndarray:
    _, onnxruntime = packages
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    answer: np.ndarray = session.run(["images"], {name: inputs[name] for name in names})[0]
    return answer


FORMATS: dict[str, tuple[Any, Any]] = {
    "onnx": (_to_onnx, _run_onnx),
    "tflite": (_to_tflite, _run_tflite),
}
