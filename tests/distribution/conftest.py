"""The dataset of tests/training."""

from tests.training.conftest import dataset_folder

__all__ = ["dataset_folder"]  # fixtures
