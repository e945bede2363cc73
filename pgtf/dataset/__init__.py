"""Datasets: image files in, minibatches out. Only `pipeline` and `labels` import TensorFlow."""

from pgtf.dataset.absence import NoDataset
from pgtf.dataset.folder import Dataset, DatasetConfig, open_dataset

__all__ = ["Dataset", "DatasetConfig", "NoDataset", "open_dataset"]
