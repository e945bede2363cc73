"""Datasets: files of images in, minibatches out. TensorFlow is imported by `pipeline` only."""

from pgtf.dataset.folder import Dataset, DatasetConfig, open_dataset

__all__ = ["Dataset", "DatasetConfig", "open_dataset"]
