"""Training says nothing that its user could not act on."""

import logging
import warnings

import numpy as np
import pytest
import tensorflow as tf
from absl import logging as absl_logging

from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.ops import winograd, xla
from pgtf.training import calls, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests import tiny
from tests.training import jobs


@pytest.fixture
def messages():
    """Log lines of TensorFlow, Keras and absl at the level WARNING and above."""
    found = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())
    loggers = (tf.get_logger(), absl_logging.get_absl_logger(), logging.getLogger())
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)
    yield found
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_forms_compiled_for_many_shapes_are_no_retracing(messages):
    """TensorFlow counts the traces of all functions that one line makes, and warns of the fifth."""
    for size in range(2, 14, 2):
        tiles = xla.compiled(winograd._tiles, [tf.zeros([1, size, size, 1])], 4, 0, 2)
        assert tiles.shape == (8, size * size // 4, 1)
    assert messages == []


def test_many_networks_that_make_images_are_no_retracing(messages):
    for seed in range(6):
        tiny.generator(seed=seed).run(np.ones((2, 8), np.float32))
    assert messages == []


@pytest.mark.slow
def test_full_width_networks_grow_from_4x4_to_16x16_without_a_warning(tmp_path, messages, capfd):
    jobs.write_blocks(tmp_path / "blocks", num_images=16, resolution_log2=4)
    dataset = open_dataset(tmp_path / "blocks", max_label_size=0)
    changes = {
        "schedule.lod_training_kimg": 0.016,
        "schedule.lod_transition_kimg": 0,
        "schedule.minibatch_base": 16,
        "schedule.minibatch_dict": {},
        "training.minibatch_repeats": 1,
    }
    config = PRESETS["v2-1gpu"].replace(changes).for_dataset(4, 3, 0, 1)
    strategy = tf.distribute.get_strategy()
    state = TrainingState(config, strategy)
    assert state.G.nf(3) == 512
    stepper = Stepper(state, config, dataset, strategy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for nimg, resolution in ((0, 4), (16, 8), (32, 16)):
            call = plan.next_call(config.schedule, config.training, nimg, nimg, 1)
            calls.set_lod(state, call.now)
            assert call.now.resolution == resolution
            assert np.all(np.isfinite(stepper.run(call)))
            state.Gs.run(np.ones((4, 512), np.float32))
    # AutoGraph's own, on Python 3.13: pyproject.toml.
    shown = [str(w.message) for w in caught if "___pyct_anno" not in str(w.message)]
    assert (messages, shown) == ([], [])
    assert "retracing" not in "".join(capfd.readouterr())
