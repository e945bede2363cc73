"""Writing a SavedModel prints no notes, in interactive Pythons neither."""

import logging

import pytest
import tensorflow as tf

from pgtf.export import saving


class Kept(logging.Handler):
    """Keeps the lines of a logger."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def test_a_saved_model_is_written_without_notes(tmp_path, tensorflow_logger):
    kept = Kept()
    tensorflow_logger.addHandler(kept)
    tensorflow_logger.setLevel(logging.INFO)
    function = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([], name="x")])
    module = tf.Module()
    module.function = function
    try:
        saving.save(module, tmp_path / "model", {"double": function})
        assert kept.lines == []
        with pytest.raises(ValueError, match="to generate a signature"):
            saving.save(module, tmp_path / "model", {"double": 3})
        assert tensorflow_logger.level == logging.INFO
        tf.saved_model.save(module, str(tmp_path / "other"))
        assert any("Assets written" in line for line in kept.lines)
    finally:
        tensorflow_logger.removeHandler(kept)
    loaded = tf.saved_model.load(str(tmp_path / "model")).signatures["double"]
    assert float(loaded(x=tf.constant(3.0))["y"]) == 6
