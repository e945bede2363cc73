"""A generator as one ONNX or TensorFlow Lite file, checked against the SavedModel's answers."""

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.export.export import NUM_CHECKED
from pgtf.export.self_check import MAX_LEVELS
from pgtf.export.serving_files import sample_inputs
from pgtf.export.signatures import Facts, make_module

ONNX_OPSET = 17
SIGNATURE = "serving_default"


def export_edge(Gs, path, file_format):
    """Writes one file: latents [N, latent_size] (+ labels [N, label_size]) -> images uint8 NHWC.

    N is free; there is no `status`, because nobody else's rows are in the batch. Before the file
    appears, its runtime draws images on the CPU, which must be within one gray level of those of
    the SavedModel.

    Args:
        Gs: the generator; exported at its own lod.
        path: file to write.
        file_format: "onnx" (needs tf2onnx and onnxruntime) or "tflite".

    Raises:
        ValueError: if a package is missing, or the images differ.
        OSError: if the file cannot be written.
    """
    convert, run = FORMATS[file_format]
    packages = _packages(file_format)
    with tempfile.TemporaryDirectory() as folder:
        module, signatures = make_module(Gs, Facts(name=Path(path).stem))
        tf.saved_model.save(module, folder, {SIGNATURE: signatures[SIGNATURE]})
        signature = tf.saved_model.load(folder).signatures[SIGNATURE]
        specs = signature.structured_input_signature[1]
        inputs = sample_inputs(specs, NUM_CHECKED)
        expected = signature(**{name: tf.constant(x) for name, x in inputs.items()})["images"]
    content = convert(_draw_function(Gs, list(specs.values())), packages)
    answer = run(content, inputs, packages)
    if answer.shape != expected.shape:
        raise ValueError(f"{path}: shape {answer.shape}, the SavedModel's is {expected.shape}.")
    levels = int(np.abs(answer.astype(int) - expected.numpy()).max())
    if levels > MAX_LEVELS:
        raise ValueError(f"{path}: a pixel is {levels} levels off the SavedModel's; not written.")
    images.write_atomically(path, content)


def _packages(file_format):
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


def _draw_function(Gs, specs):
    """The network alone, of operations that both formats have."""
    model, alpha = Gs.model_at(Gs.lod)
    alpha = float(alpha)

    def draw(*values):
        rows = {spec.name: value for spec, value in zip(specs, values, strict=True)}
        inputs = Gs.inputs(rows["latents"], rows.get("labels"), tf.constant(alpha))
        x = images.adjust_drange(model(inputs), images.DRANGE, images.UINT8_DRANGE)
        return {"images": tf.cast(tf.minimum(tf.maximum(tf.round(x), 0.0), 255.0), tf.uint8)}

    return tf.function(draw, input_signature=specs, autograph=False)


def _to_tflite(draw, packages):
    module = tf.Module()
    module.draw = draw
    with tempfile.TemporaryDirectory() as folder:
        function = draw.get_concrete_function()
        module.variables_used = list(function.graph.variables)
        tf.saved_model.save(module, folder, {SIGNATURE: function})
        return tf.lite.TFLiteConverter.from_saved_model(folder, [SIGNATURE]).convert()


def _run_tflite(content, inputs, packages):
    with warnings.catch_warnings():
        # The interpreter moves to a package of its own; TensorFlow 2.18-2.21 still has it.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated", UserWarning)
        runner = tf.lite.Interpreter(model_content=content).get_signature_runner(SIGNATURE)
    return runner(**inputs)["images"]


def _to_onnx(draw, packages):
    tf2onnx, _ = packages
    logging.getLogger("tf2onnx").setLevel(
        logging.ERROR
    )  # it warns of optimizations that do not fit
    model, _ = tf2onnx.convert.from_function(draw, draw.input_signature, opset=ONNX_OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return model.SerializeToString()


def _run_onnx(content, inputs, packages):
    _, onnxruntime = packages
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(["images"], {name: inputs[name] for name in names})[0]


FORMATS = {"onnx": (_to_onnx, _run_onnx), "tflite": (_to_tflite, _run_tflite)}
