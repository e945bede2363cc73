"""A first run on the dataset of tests/training, and a file elsewhere."""

import pytest
from absl import logging

from pgtf.runs import continuation
from pgtf.runs.choice import Request
from tests.training.conftest import config, dataset, dataset_folder, strategy

__all__ = ["config", "dataset", "dataset_folder", "strategy"]  # fixtures


@pytest.fixture
def start(tmp_path, config, dataset):
    """Calls open_run in tmp_path / "results". Returns the folder's name, and `finished`."""

    def call(preset="demo", config=config, dataset=dataset, **options):
        config = config.replace({"dataset.path": dataset.path})
        request = Request.of(tmp_path / "results", preset, config, dataset, **options)
        opened = continuation.open_run(request)
        for note in opened.notes:
            logging.info("%s", note)
        return opened.folder.name, opened.finished

    return call


@pytest.fixture
def folder(tmp_path, start):
    """The folder of a first run."""
    return tmp_path / "results" / start()[0]


@pytest.fixture
def target(tmp_path):
    """A file elsewhere that a received run folder leads to."""
    path = tmp_path / "elsewhere"
    path.write_text("precious")
    return path
