"""A dataset of 40 blocky 8x8 images and a configuration that trains on it in seconds."""

import pytest
import tensorflow as tf
from absl.testing import flagsaver

from pgtf.commands import train, train_config, train_flags
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from tests.training import jobs


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "blocks"
    jobs.write_blocks(folder)
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
    return PRESETS["demo"].replace(changes).for_dataset(dataset.resolution_log2, 3, 0, 1)


@pytest.fixture(scope="session")
def strategy():
    return tf.distribute.get_strategy()


@pytest.fixture
def run(tmp_path, capfd):
    """Runs train.py's command with flags. Returns exit code, standard output, standard error."""

    def call(*arguments):
        argv = ["train.py", f"--outdir={tmp_path / 'results'}", *arguments]
        before = flagsaver.save_flag_values(train_flags.FLAGS)
        with flagsaver.flagsaver():  # absl's own: training sets the log level
            try:
                train.run(train_config.parse(argv))
                code = 0
            except SystemExit as error:
                code = error.code
            finally:
                flagsaver.restore_flag_values(before, train_flags.FLAGS)
        return code, *capfd.readouterr()

    return call
