"""Image datasets of the package tensorflow_datasets, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import PIL.Image

from pgtf.dataset.exporter import Options, Summary, export
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.pictures import Conversion, normalize


def create(
    tfrecord_dir: str,
    name: str,
    split: str,
    conversion: Conversion,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Summary:
    """Creates a dataset of the `image` and, if there is one, the `label` of every example."""
    tfds = import_optional("tensorflow_datasets", "tensorflow-datasets")
    try:
        examples, info = tfds.load(name, split=split, with_info=True, shuffle_files=False)
    except Exception as error:  # every source of data fails in its own way
        what = " ".join(str(error).split())
        raise ValueError(f"`name` and `split` must be known: {name}, {split} ({what}).") from error
    labels, names = None, []
    if hasattr(info.features.get("label"), "names"):
        only_labels = examples.map(lambda example: example["label"])
        labels = np.array(list(tfds.as_numpy(only_labels)), np.int64)
        names = info.features["label"].names[: labels.max() + 1]
    return export(
        tfrecord_dir,
        items=(example["image"] for example in tfds.as_numpy(examples)),
        num_items=len(examples),
        load=_Convert(conversion),
        shape=conversion.shape,
        job={"command": "create_from_tfds", "name": name, "split": split},
        labels=labels,
        label_names=names,
        options=options,
    )


@dataclasses.dataclass(frozen=True)
class _Convert:
    """The `load` of TFDS; items are arrays [H, W, C]."""

    conversion: Conversion

    def __call__(self, items: list[np.ndarray]) -> Iterator[np.ndarray]:
        for image in items:
            picture = PIL.Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
            pixels = np.asarray(normalize(picture, self.conversion))
            yield pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
