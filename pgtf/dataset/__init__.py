"""Datasets: image files in, minibatches out. Only `pipeline` and `labels` import TensorFlow."""

from typing import TYPE_CHECKING

from pgtf import lazy

if TYPE_CHECKING:
    from pgtf.dataset.absence import NoDataset
    from pgtf.dataset.folder import Dataset, DatasetConfig, open_dataset

__all__ = ["Dataset", "DatasetConfig", "NoDataset", "open_dataset"]
# Worker processes import this package too, and need none of them.
__getattr__ = lazy.names_in(
    __name__,
    {"NoDataset": "pgtf.dataset.absence"}
    | dict.fromkeys(("Dataset", "DatasetConfig", "open_dataset"), "pgtf.dataset.folder"),
)
