"""Image datasets of the package tensorflow_datasets, by name."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image
from absl import logging

from pgtf.dataset.commands import Commands, add_conversion
from pgtf.dataset.encoder import Rejected
from pgtf.dataset.exporter import Options, Summary, export
from pgtf.dataset.sources.optional import import_optional
from pgtf.dataset.sources.pictures import Conversion, normalize, to_pixels
from pgtf.foreign.pictures import reason


def create(
    tfrecord_dir: str, name: str, split: str, conversion: Conversion, options: Options
) -> Summary:
    """Creates a dataset of the `image` of every example, and its `label` or `attributes` if any."""
    tfds = import_optional("tensorflow_datasets", "tensorflow-datasets")
    try:
        examples, info = tfds.load(name, split=split, with_info=True, shuffle_files=False)
    except Exception as error:  # Every source of data fails in its own way.
        what = textwrap.shorten(str(error), 300)  # TFDS answers an unknown name with all names.
        raise ValueError(f"TFDS cannot load {name}, split {split} ({what}).") from None
    if "image" not in info.features:
        raise ValueError(f"{name} must have images. Received: {', '.join(info.features)}.")
    labels: np.ndarray | None = None
    names: Sequence[str] = []
    if "label" in info.features and hasattr(info.features["label"], "names"):
        labels = np.array(list(tfds.as_numpy(examples.map(lambda x: x["label"]))), np.int64)
        names = info.features["label"].names
    elif "attributes" in info.features:
        found = [x["attributes"] for x in tfds.as_numpy(examples.map(_only_attributes))]
        labels, names = _attributes(name, list(info.features["attributes"]), found)
    return export(
        tfrecord_dir,
        items=enumerate(example["image"] for example in tfds.as_numpy(examples)),
        num_items=len(examples),
        load=_Convert(conversion),
        shape=conversion.shape,
        job={"command": "create_from_tfds", "name": name, "split": split},
        labels=labels,
        label_names=names,
        options=options,
    )


def _only_attributes(example: Mapping[str, Any]) -> dict[str, Any]:
    return {"attributes": example["attributes"]}


def _attributes(
    dataset: str, names: Sequence[str], found: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray | None, list[str]]:
    """Makes a column of each attribute that is a number or true or false: -> float32 [n, L]."""
    usable = [name for name in names if np.ndim(found[0][name]) == 0 and _is_number(found[0][name])]
    if left_out := [name for name in names if name not in usable]:
        logging.warning(
            "%s: attributes that are no numbers are left out: %s.", dataset, ", ".join(left_out)
        )
    if not usable:
        return None, []
    return np.array([[x[name] for name in usable] for x in found], np.float32), usable


def _is_number(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fiub"


@dataclasses.dataclass(frozen=True)
class _Convert:
    """The `load` of TFDS; items are (number, array [H, W, C])."""

    conversion: Conversion

    def __call__(self, items: list[tuple[int, np.ndarray]]) -> Iterator[np.ndarray | Rejected]:
        for number, image in items:
            try:
                picture = PIL.Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
                yield to_pixels(normalize(picture, self.conversion), self.conversion)
            except (TypeError, ValueError) as error:
                yield Rejected(f"example {number}", reason(error))


def add_command(commands: Commands) -> None:
    """Adds create_from_tfds to the sub-commands of dataset_tool.py."""
    p = commands.add_create(
        "create_from_tfds",
        "A dataset of the package tensorflow-datasets.",
        "datasets/flowers tf_flowers --resolution=128",
        _run,
        "name",
        "name of the dataset in the package, for example tf_flowers",
    )
    p.add_argument("--split", default="train", help="(default: %(default)s)")
    add_conversion(p, channels=3, transform="center-crop")


def _run(args: argparse.Namespace, options: Options) -> Summary:
    conversion = Conversion(
        args.channels,
        args.resolution,
        args.transform,
        args.alpha,
        strict=False,
        pad=args.pad,
        grid=args.grid,
    )
    return create(args.tfrecord_dir, args.name, args.split, conversion, options)
