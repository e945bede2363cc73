"""Which dataset a run trains on, and what of it."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """Options of the input pipeline."""

    path: str = "datasets/demo"  # folder with NAME-rLL.tfrecords
    resolution: int | None = None  # train no finer than this; None = all of it
    max_label_size: int | Literal["full"] | None = None  # first N labels; None = 0, with a warning
    mirror_augment: bool = False  # flip each image with probability 1/2
