"""Label conditioning from the dataset to the snapshot."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from pgtf import interop
from pgtf.dataset import open_dataset
from pgtf.training import callbacks, calls, events, feeding, loop, plan
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from pgtf.training.updates import Stage


@pytest.fixture(scope="module")
def labelled(dataset_folder):
    return open_dataset(dataset_folder, max_label_size="full")


@pytest.fixture(scope="module")
def labelled_config(config):
    changes = {
        "schedule.lod_initial_resolution": 8,
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": 0,
        "training.total_kimg": 0.032,
    }
    return config.replace(changes).for_dataset(3, 3, 4, 1)


def test_a_labelled_run_trains_label_logits_and_stores_the_label_size(
    labelled_config, labelled, strategy, tmp_path
):
    before = TrainingState(labelled_config, strategy).D.variables_by_name["4x4/Dense1/weight"]
    loop.run(labelled_config, labelled, strategy, tmp_path)
    G, D, Gs = interop.load_snapshot(tmp_path / "network-snapshot-000000.h5")
    assert G.config.label_size == D.config.label_size == Gs.config.label_size == 4
    moved = np.abs(D.variables_by_name["4x4/Dense1/weight"].numpy() - before.numpy()).max(axis=0)
    assert moved.shape == (5,)
    assert moved.min() > 1e-3  # the score and every label's logit


def test_the_generator_sees_rows_of_the_training_labels(labelled_config, labelled, strategy):
    state = TrainingState(labelled_config, strategy)
    stepper = Stepper(state, labelled_config, labelled, strategy)
    seen = []
    original = state.G.inputs
    state.G.inputs = lambda latents, labels, alpha: (
        seen.append(labels) or original(latents, labels, alpha)
    )
    call = plan.next_call(labelled_config.schedule, labelled_config.training, 0, 0)
    images, labels = next(feeding.iterate(strategy, labelled, call, labelled_config))
    nimg, alpha = tf.constant(0, tf.int64), tf.constant(1.0)
    updates = stepper._updates(Stage(8, 8, fading=False), jit=False)
    updates.iteration((images, labels), nimg, alpha, 1e-3, 1e-3, 0.0)  # eagerly
    D_labels, G_labels = (np.asarray(x) for x in seen)
    np.testing.assert_array_equal(D_labels, labels)  # the fakes in D's update: as the reals
    assert G_labels.shape == (8, 4)
    assert (G_labels.sum(axis=1) == 1).all()
    assert not np.array_equal(G_labels, D_labels)


def test_the_grid_of_a_labelled_dataset_has_a_row_per_class(
    labelled_config, labelled, strategy, tmp_path
):
    state = TrainingState(labelled_config, strategy)
    calls.set_lod(state, labelled_config.schedule.at(0))
    tensorboard = events.TensorBoard(tmp_path, 0)
    grid = callbacks.ImageGrid(tmp_path, labelled, state, labelled_config, tensorboard)
    columns, _ = grid._size
    classes = grid._labels.argmax(axis=1)
    assert len(classes) > 0
    np.testing.assert_array_equal(classes, np.arange(len(classes)) // columns % 4)


@pytest.mark.parametrize(("size", "warned"), [(None, True), (0, False), ("full", False)])
def test_a_labelled_dataset_trained_without_labels_warns_unless_told_so(
    dataset_folder, caplog, size, warned
):
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(dataset_folder, max_label_size=size)
    assert any("label columns that are not used" in text for text in caplog.messages) == warned
    assert dataset.label_size == (4 if size == "full" else 0)


def test_the_first_n_label_columns_are_used(dataset_folder):
    dataset = open_dataset(dataset_folder, max_label_size=2)
    np.testing.assert_array_equal(dataset.read_labels([0, 1, 2]), [[1, 0], [0, 1], [0, 0]])
