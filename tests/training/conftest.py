"""A dataset of 40 blocky 8x8 images and a configuration that trains on it in seconds."""

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver

from pgtf.commands import train, train_config, train_flags
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.training import callbacks, loop
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
        "schedule.minibatch_dict": {},
        "schedule.G_lrate_base": 0.003,
        "schedule.G_lrate_dict": {},
        "schedule.D_lrate_base": 0.003,
        "schedule.D_lrate_dict": {},
        "schedule.tick_kimg_base": 0.096,
        "schedule.tick_kimg_dict": {},
        "training.total_kimg": 0.288,
        "training.minibatch_repeats": 2,
        "training.network_snapshot_ticks": 1,
    }
    return PRESETS["demo"].replace(changes).for_dataset(dataset.resolution_log2, 3, 0, 1)


@pytest.fixture(scope="session")
def strategy():
    return tf.distribute.get_strategy()


class FakeStepper:
    """Changes every weight in each iteration, by a rule instead of by training."""

    statistics = ("G_loss", "D_loss", "skipped")

    def __init__(self, state, *_):
        self._state = state

    def is_new(self, call):
        return False

    def run(self, call):
        rows = []
        for nimg, alpha, lrate in zip(call.nimgs, call.alphas, call.G_lrates, strict=True):
            for network in self._state.networks().values():
                for variable in network.variables_by_name.values():
                    variable.assign(variable * 0.9 + lrate * (nimg + 1) * (1 + alpha))
            rows.append((nimg, lrate, 0.0))
        return np.array(rows)


@pytest.fixture(scope="module")
def without_graphs():
    """Runs the loop without TensorFlow's graphs: no training, no pictures."""

    def standard(folder, dataset, state, config):
        snapshot = callbacks.Snapshot(folder, dataset, config)
        return [callbacks.StatsFile(folder, state.progress.cur_nimg), snapshot]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Stepper", FakeStepper)
        patch.setattr(callbacks, "standard", standard)
        yield


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
