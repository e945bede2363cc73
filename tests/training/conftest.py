"""A dataset of 40 blocky 8x8 images and a configuration that trains on it in seconds."""

import numpy as np
import pytest
import tensorflow as tf

from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import to_records

NUM_IMAGES = 40


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "blocks"
    folder.mkdir()
    corners = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 3, 4, 4), np.uint8)
    for log2 in (2, 3):
        enlarged = corners.repeat(2 ** (log2 - 2), 2).repeat(2 ** (log2 - 2), 3)
        (folder / f"blocks-r{log2:02d}.tfrecords").write_bytes(to_records(enlarged).tobytes())
    np.save(folder / "labels.npy", np.eye(4, dtype=np.float32)[np.arange(NUM_IMAGES) % 4])
    (folder / "labels.npy").rename(folder / "blocks-rxx.labels")
    return folder


@pytest.fixture(scope="session")
def dataset(dataset_folder):
    return open_dataset(dataset_folder, max_label_size=0)


@pytest.fixture(scope="session")
def config(dataset):
    """Stable at 4x4, fading, stable at 8x8: 64 images each; a tick is 96 images."""
    changes = {
        "dataset.path": dataset.path,
        "G.fmap_base": 32,
        "G.fmap_max": 8,
        "G.latent_size": 8,
        "D.fmap_base": 32,
        "D.fmap_max": 8,
        "schedule.lod_training_kimg": 0.064,
        "schedule.lod_transition_kimg": 0.064,
        "schedule.minibatch_base": 8,
        "schedule.tick_kimg_base": 0.096,
        "training.total_kimg": 0.288,
        "training.minibatch_repeats": 2,
        "training.network_snapshot_ticks": 1,
    }
    return PRESETS["demo"].replace(changes).fitted(dataset.resolution_log2, 3, 0, 1)


@pytest.fixture(scope="session")
def strategy():
    return tf.distribute.get_strategy()
