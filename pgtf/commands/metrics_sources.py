"""Finds the images that python -m metrics compares: reals and fakes, from its flags."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.config import Config
from pgtf.dataset import Dataset, open_dataset
from pgtf.dataset.sources.image_folder import Fitting
from pgtf.depth import Depth
from pgtf.export.source import depth_of, groups_of
from pgtf.export.version_folder import served_version
from pgtf.graphs import SavedModel
from pgtf.installation import spelled
from pgtf.interop import load_meta, load_pkl, load_snapshot
from pgtf.label_groups import LabelGroup, cut, one_class, restored
from pgtf.metrics import datasets, image_sets
from pgtf.metrics.during_training import SNAPSHOTS
from pgtf.metrics.image_sets import ImageSet
from pgtf.runs import identity, run_folder
from pgtf.runs.datasets import open_dataset_of

Source = tuple[str, Callable[[], ImageSet]]  # name of the fakes, and the function that makes them


def choose_run(args: argparse.Namespace) -> None:
    """Sets --run to the newest run if no flag names images to measure.

    Raises:
        ValueError: a flag for folders of images is given without one.
    """
    fitting = _fitting(args, args.channels)
    if fitting != Fitting() and not (args.reals or args.fakes):
        raise ValueError(
            "--channels, --resolution, --transform, --alpha, --pad, --range and --max_pixels are "
            "for folders of image files. Give one as --reals or --fakes, or drop them."
        )
    if not is_generated(args) and not args.fakes:
        if not (args.dataset or args.reals):
            args.run = str(run_of(args))


def is_generated(args: argparse.Namespace) -> bool:
    """True if a network generates the fakes, so that there are any number."""
    return any((args.run, args.snapshot, args.pkl, args.saved_model))


def run_of(args: argparse.Namespace) -> Path:
    """Finds the folder of --run, by default the newest run in --outdir."""
    return Path(run_folder.locate(args.outdir, args.run))


def reals_of(args: argparse.Namespace) -> tuple[ImageSet, Dataset | None]:
    """Opens the reals, and the dataset that they come from."""
    if args.reals:
        if args.split != "train":
            raise ValueError(
                f"`--split` is for datasets, not for the folder {args.reals}. "
                f"Received: split={args.split}."
            )
        return _folder(args, args.reals, args.channels), None
    config = Config().dataset
    if args.run:
        config = run_folder.read_config(run_of(args), Config).dataset
    elif not args.dataset:
        raise ValueError(
            spelled("give the reals as --dataset or --reals (python -m metrics --help).")
        )
    if args.dataset:
        path, resolution = args.dataset, config.resolution
        dataset = open_dataset(path, resolution=resolution, max_label_size="full", split=args.split)
    else:
        dataset = open_dataset_of(run_of(args), config, "full", args.split)
    stated = _mirror_of_snapshot(args.snapshot) if args.snapshot else config.mirror_augment
    mirror = dataset.mirror if stated is None else stated
    mirror_seed = args.seed if mirror else None
    return image_sets.of_dataset(dataset, mirror_seed, args.split), dataset


def are_of_training(args: argparse.Namespace, dataset: Dataset | None) -> bool:
    """True if the reals of `reals_of` are the images on which the run was trained."""
    if args.reals or args.split != "train" or dataset is None:
        return False
    if not args.dataset:
        return True
    folder = run_of(args)
    source = identity.load(folder).source
    if source is None:
        source = identity.Source(
            os.path.realpath(run_folder.read_config(folder, Config).dataset.path)
        )
    return source.is_near(identity.Source.of(dataset))


def _mirror_of_snapshot(path: str) -> bool | None:
    """Returns mirror_augment of the training that wrote a snapshot; None = it does not say."""
    stated: bool | None = load_meta(path).get("config", {}).get("dataset", {}).get("mirror_augment")
    return stated


def fakes_of(args: argparse.Namespace, reals: ImageSet, dataset: Dataset | None) -> list[Source]:
    """Lists at least one set of fakes."""
    if args.fakes:
        folder = _folder(args, args.fakes, args.channels or reals.shape[2])
        height, width, _ = reals.shape
        if folder.shape != reals.shape and height == width:
            raise ValueError(
                f"{args.fakes}: must have images like {reals.name}, {list(reals.shape)}. Received: "
                f"{list(folder.shape)}. Add --resolution={height} --transform=resize to fit them."
            )
        return [(args.fakes, lambda: folder)]
    if args.saved_model:
        return [(args.saved_model, lambda: _saved_model(args, reals, dataset))]
    if args.run:
        paths = sorted(run_of(args).glob(SNAPSHOTS))
        if not paths:
            raise ValueError(f"{run_of(args)}: no network snapshot yet.")
    elif args.snapshot or args.pkl:
        paths = [Path(args.snapshot or args.pkl)]
    else:
        return [(reals.name, lambda: reals)]
    load = load_pkl if args.pkl else load_snapshot
    return [(path.name, functools.partial(_network, args, load, path, dataset)) for path in paths]


def _folder(args: argparse.Namespace, folder: str, channels: int | None) -> ImageSet:
    return image_sets.of_folder(folder, _fitting(args, channels), progress=True)


def _fitting(args: argparse.Namespace, channels: int | None) -> Fitting:
    return Fitting(
        channels,
        args.resolution,
        args.transform,
        args.alpha,
        args.pad,
        args.value_range,
        args.max_pixels,
    )


def _network(
    args: argparse.Namespace, load: Callable[[Path], Any], path: Path, dataset: Dataset | None
) -> ImageSet:
    _, D, Gs = load(path)
    meta = {} if args.pkl else load_meta(path)
    depth, groups = depth_of(path, meta), groups_of(path, meta, Gs.config.label_size)
    labels = _labels(path, Gs.config.label_size, groups, dataset)
    return image_sets.of_network(path.name, Gs, args.seed, labels, depth, D)


def _saved_model(args: argparse.Namespace, reals: ImageSet, dataset: Dataset | None) -> ImageSet:
    """Fakes of a SavedModel with the signature serving_default: latents (, labels) -> images."""
    folder = served_version(args.saved_model)
    try:
        model = SavedModel(folder)
        function = model.signature("serving_default")
        shapes = model.input_shapes("serving_default")
        latent_size = shapes["latents"][1] or 0
        label_size = (shapes["labels"][1] or 0) if "labels" in shapes else 0
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"{folder}: must be a SavedModel with a signature serving_default that takes "
            f"`latents`, as {spelled('generate.py export')} writes ({error})."
        ) from None

    depth = Depth() if dataset is None else Depth.of(dataset)

    groups = one_class(label_size) if dataset is None else cut(dataset.label_groups, label_size)

    def run(latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        inputs = {"latents": latents}
        if labels is not None:  # An exported model takes the dataset's labels.
            inputs["labels"] = restored(labels, groups)
        outputs = function(**inputs)
        if np.any(outputs.get("status", 0)):
            raise ValueError(f"{folder}: must make finite images. Received: {outputs['status']}.")
        return depth.levels(outputs["images"])

    labels = _labels(folder, label_size, groups, dataset)
    name = str(folder)
    fakes = image_sets.of_generator(name, run, latent_size, reals.shape, args.seed, labels)
    fakes.read(0, 1)  # Raises errors before the reals are read.
    return fakes


def _labels(
    path: str | os.PathLike[str],
    label_size: int,
    groups: Sequence[LabelGroup],
    dataset: Dataset | None,
) -> datasets.Labels | None:
    """Samples labels of the right length from the dataset; None for a network without labels."""
    if not label_size:
        return None
    if dataset is None or dataset.label_size < label_size:
        raise ValueError(
            f"{path}: was trained with {label_size} label columns; give the dataset that has them "
            "as --dataset."
        )
    return datasets.labels_of(dataset, groups, label_size)
