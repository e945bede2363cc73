"""All labels of a dataset in memory, for minibatches and for G's random labels.

They are those that networks see: columns of numbers are standardised.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pgtf.dataset.folder import Dataset
from pgtf.label_groups import standardised

ROWS_AT_A_TIME = 4096


class LabelTable:
    """Label rows by record number, with each distinct row stored once.

    A million one-hot labels of 1000 classes take 8 MB instead of 4 GB.

    Attributes:
        num_images: images in the dataset.
        label_size: columns in use; may be 0.
        groups: kinds of the columns, in order.
    """

    def __init__(self, dataset: Dataset) -> None:
        """Reads all labels of a dataset."""
        self.num_images, self.label_size = dataset.num_images, dataset.label_size
        self.groups = dataset.label_groups
        numbers: dict[bytes, int] = {}  # distinct row -> its number
        number_of_image = np.zeros(dataset.num_images, np.int32)
        for start in range(0, dataset.num_images if dataset.label_size else 0, ROWS_AT_A_TIME):
            indices = range(start, min(start + ROWS_AT_A_TIME, dataset.num_images))
            for index, row in zip(indices, dataset.read_labels(indices), strict=True):
                number_of_image[index] = numbers.setdefault(row.tobytes(), len(numbers))
        rows = np.frombuffer(b"".join(numbers), np.float32)
        rows = standardised(rows.reshape(len(numbers), dataset.label_size), self.groups)
        self._rows = tf.constant(rows)
        self._number_of_image = tf.constant(number_of_image)

    def gather(self, records: tf.Tensor) -> tf.Tensor:
        """Labels of records: int [n] -> float32 [n, label_size]."""
        if not self.label_size:
            return tf.zeros([tf.size(records), 0])
        return tf.gather(self._rows, tf.gather(self._number_of_image, records))
